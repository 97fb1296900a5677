/**
 * A UDP socket that is bound to a network device. Node's dgram cannot tell on which interface a packet came in, so a
 * server on two wires would answer one wire's client on the other; and a broadcast would leave by whatever route the
 * kernel likes. SO_BINDTODEVICE settles both, and Node does not offer it.
 */
import type { Socket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { BladerootError } from '../errors.ts';
import { inheritedSockets } from './activation.ts';
import { bindError, type Listening } from './bind-error.ts';
import { dgramSocket, holdStorm, openUdp, setSocketOption, socketText, SOL_SOCKET } from './udp.ts';

/**
 * Opens a UDP socket on every address of one device, able to broadcast there. `service` names it in errors. Close it with
 * `close()`. One that systemd has opened there is taken. No SO_REUSEADDR: two DHCP servers on one device must find out.
 * @throws BladerootError `NO_INTERFACE`, `PORT_IN_USE`, `NOT_ROOT`, `LISTEN_FAILED`
 */
export async function openDeviceSocket(device: string, port: number, service: string): Promise<Socket> {
  const inherited = inheritedSockets('udp', port).find(({ fd }) => deviceOf(fd) === device);
  const at: Listening = { service, where: `port ${port} on ${device}`, port, protocol: 'udp' };
  const fd = inherited?.fd ?? openDescriptor(device, at);
  holdStorm(fd);
  const socket = await dgramSocket(fd);
  socket.setBroadcast(true);
  return socket;
}

// From Linux's <asm-generic/socket.h>; the same on x86-64 and ARM64.
const SO_BINDTODEVICE = 25;
const IFNAMSIZ = 16;

function openDescriptor(device: string, listening: Listening): number {
  if (!interfaces().includes(device)) throw noInterface(device);
  const opened = openUdp('0.0.0.0', listening.port, (fd) =>
    setSocketOption(fd, SOL_SOCKET, SO_BINDTODEVICE, device),
  );
  if (typeof opened === 'number') return opened;
  throw opened.errno === 'ENODEV' ? noInterface(device) : bindError(opened.errno, listening);
}

/** The device that a socket is bound to; empty for none (SO_BINDTODEVICE in socket(7)). */
function deviceOf(fd: number): string {
  return socketText(fd, SOL_SOCKET, SO_BINDTODEVICE, IFNAMSIZ) ?? '';
}

/** Every interface, those that are down and without address too, which `os.networkInterfaces()` leaves out. */
function interfaces(): string[] {
  return readdirSync('/sys/class/net', { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => entry.name)
    .sort();
}

function noInterface(device: string): BladerootError {
  return new BladerootError('NO_INTERFACE', `there is no network interface ${device} on this machine`, {
    hint: `there are: ${interfaces().join(', ')}`,
  });
}
