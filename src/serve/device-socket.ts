/**
 * A UDP socket that is bound to a network device. Node's dgram cannot tell on which interface a packet came in, so a
 * server on two wires would answer one wire's client on the other; and a broadcast would leave by whatever route the
 * kernel likes. SO_BINDTODEVICE settles both, and Node does not offer it.
 */
import { readdirSync } from 'node:fs';
import { BladerootError } from '../errors.ts';
import { inheritedSockets } from './activation.ts';
import { bindError, type Listening } from './bind-error.ts';
import { holdStorm, openUdp, setSocketOption, socketText, SOL_SOCKET, UdpSocket } from './udp.ts';

/**
 * Opens a UDP socket on every address of one device, able to broadcast there. `service` names it in errors. Close it with
 * `close()`. One that systemd has opened there is taken. No SO_REUSEADDR: two DHCP servers on one device must find out.
 * @throws BladerootError `NO_INTERFACE`, `PORT_IN_USE`, `NOT_ROOT`, `LISTEN_FAILED`, `SOCKET_NOT_BOUND`
 */
export async function openDeviceSocket(device: string, port: number, service: string): Promise<UdpSocket> {
  const inherited = inheritedSockets('udp', port).map(({ fd }) => ({ fd, device: deviceOf(fd) }));
  if (inherited.some((one) => one.device === '')) throw notBound(device, port, service);
  const at: Listening = { service, where: `port ${port} on ${device}`, port, protocol: 'udp' };
  const fd = inherited.find((one) => one.device === device)?.fd ?? openDescriptor(device, at);
  holdStorm(fd);
  const socket = await UdpSocket.over(fd);
  socket.allowBroadcast();
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

/** It hears every wire, and nobody can open another one for a single device beside it. */
function notBound(device: string, port: number, service: string): BladerootError {
  const what = `the socket for ${service} at port ${port} that systemd hands on is bound to no network device`;
  return new BladerootError('SOCKET_NOT_BOUND', what, {
    hint: `write \`BindToDevice=${device}\` into its unit; with several interfaces, one unit for each`,
  });
}

function noInterface(device: string): BladerootError {
  return new BladerootError('NO_INTERFACE', `there is no network interface ${device} on this machine`, {
    hint: `there are: ${interfaces().join(', ')}`,
  });
}
