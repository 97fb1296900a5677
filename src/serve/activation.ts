/**
 * Sockets that systemd has opened and hands on (socket activation, sd_listen_fds(3)): they begin at descriptor 3, and the
 * environment says for which process they are. What they listen at is looked up in /proc, so their order and names do not
 * matter.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { errorCode } from '../errors.ts';
import { ipv4ToBytes } from '../net/ipv4.ts';

export interface Inherited {
  fd: number;
  port: number;
  /** As /proc/net has it; zeros: every address. */
  address: string;
}

const FIRST = 3;

/**
 * The sockets of this process that were handed on and listen at a port; none where there was no socket activation. UDP only
 * over IPv4, as all that answers there does.
 */
export function inheritedSockets(protocol: 'tcp' | 'udp', port: number): Inherited[] {
  const count = process.env['LISTEN_PID'] === String(process.pid) ? Number(process.env['LISTEN_FDS']) : 0;
  if (!(count > 0)) return [];
  const tables = protocol === 'tcp' ? ['tcp', 'tcp6'] : ['udp'];
  const ports = new Map(
    tables.flatMap((table) => portsIn(readFileSync(`/proc/self/net/${table}`, 'latin1'))),
  );
  return Array.from({ length: count }, (_, index) => FIRST + index).flatMap((fd) => {
    const bound = ports.get(inodeOf(fd) ?? '');
    return bound?.port === port ? [{ fd, ...bound }] : [];
  });
}

/** The one that listens at an IPv4 address of this machine, or at all of them. */
export function inheritedSocket(
  protocol: 'tcp' | 'udp',
  port: number,
  address: string,
): Inherited | undefined {
  // The kernel prints the address as a number of the machine's own order, which is little-endian on both.
  const printed = Buffer.from(ipv4ToBytes(address)).reverse().toString('hex').toUpperCase();
  const sockets = inheritedSockets(protocol, port);
  return sockets.find((one) => one.address === printed) ?? sockets.find((one) => /^0+$/.test(one.address));
}

/** The inode of a socket, as /proc/net names it; undefined for another file, and for none. */
function inodeOf(fd: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where sockets are bound, by inode, of those sockets that are bound and connected to nobody: proc_pid_net(5). */
export function portsIn(table: string): [inode: string, bound: Omit<Inherited, 'fd'>][] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote]) => local !== undefined && remote?.endsWith(':0000') === true)
    .map(([, local = '', , , , , , , , inode = '']) => [
      inode,
      {
        address: local.slice(0, local.indexOf(':')),
        port: Number.parseInt(local.slice(local.indexOf(':') + 1), 16),
      },
    ]);
}
