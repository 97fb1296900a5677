/**
 * A UDP socket that is bound to a network device. Node's dgram cannot tell on which interface a packet came in, so a
 * server on two wires would answer one wire's client on the other; and a broadcast would leave by whatever route the
 * kernel likes. SO_BINDTODEVICE settles both, and Node does not offer it: so this file, and no other, calls libc.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, readdirSync } from 'node:fs';
import koffi from 'koffi';
import { BladerootError } from '../errors.ts';
import { inheritedSockets } from './activation.ts';
import { bindError, type Listening } from './bind-error.ts';

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
  // Addresses are given as numbers: Node's own way to "resolve" them costs each packet a turn of the event loop.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  try {
    // Node says `listening` before `bind({fd})` returns.
    const listening = once(socket, 'listening');
    socket.bind({ fd });
    await listening;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  socket.setBroadcast(true);
  return socket;
}

// From Linux's <bits/socket.h> and <asm-generic/socket.h>; the same on x86-64 and ARM64.
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_RCVBUFFORCE = 33;
const IFNAMSIZ = 16;

function openDescriptor(device: string, listening: Listening): number {
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const setsockopt = libc.func(
    'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
  );
  const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');

  if (!interfaces().includes(device)) throw noInterface(device);
  const fd: number = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw bindError(errnoName(), listening);
  const name = Buffer.from(`${device}\0`);
  const address = anyAddress(listening.port);
  if (
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) !== 0 ||
    bind(fd, address, address.length) !== 0
  ) {
    const code = errnoName();
    closeSync(fd);
    throw code === 'ENODEV' ? noInterface(device) : bindError(code, listening);
  }
  return fd;
}

/**
 * Room for the packets of a storm that come while this program is busy: Linux gives a socket some 160, which a thousand
 * clients a second fill in a tenth of a second. Who is not root has what net.core.rmem_max allows.
 */
function holdStorm(fd: number): void {
  const setsockopt = koffi
    .load(null)
    .func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(STORM_BYTES);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes, bytes.length) !== 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, bytes, bytes.length);
}

const STORM_BYTES = 2 ** 22;

/** The device that a socket is bound to; empty for none (SO_BINDTODEVICE in socket(7)). */
function deviceOf(fd: number): string {
  const getsockopt = koffi
    .load(null)
    .func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const name = Buffer.alloc(IFNAMSIZ);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(name.length);
  if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, length) !== 0) return '';
  return name.toString('latin1', 0, Math.max(0, length.readUInt32LE() - 1));
}

/** `struct sockaddr_in` of 0.0.0.0: the family in the machine's order (little-endian on both), the port in the network's. */
function anyAddress(port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  return bytes;
}

function errnoName(): string {
  const number = koffi.errno();
  return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
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
