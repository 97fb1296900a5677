/**
 * UDP sockets with what Node's dgram does not offer: devices, room for a storm, several packets in one call. This file, and
 * no other, calls libc.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { ipv4ToBytes } from '../net/ipv4.ts';

const libc = koffi.load(null);
const openSocket = libc.func('int socket(int domain, int type, int protocol)');
const setOption = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
);
const getOption = libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');
const bindTo = libc.func('int bind(int fd, const void *address, uint32_t length)');
const sendTo = libc.func(
  'int64_t sendto(int fd, const void *bytes, uint64_t length, int flags, const void *to, uint32_t toLength)',
);

// From Linux's <bits/socket.h>; the same on x86-64 and ARM64.
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
// From <asm-generic/socket.h>; the same, too.
export const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;

/** Opens a UDP socket over IPv4, sets it up and binds it; returns its descriptor, or the name of what went wrong. */
export function openUdp(
  address: string,
  port: number,
  prepare: (fd: number) => boolean = () => true,
): number | { errno: string } {
  const fd: number = openSocket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return { errno: errnoName() };
  const at = socketAddress(address, port);
  if (prepare(fd) && bindTo(fd, at, at.length) === 0) return fd;
  const errno = errnoName();
  closeSync(fd);
  return { errno };
}

/**
 * Hands a descriptor to dgram, which closes it from then on.
 * @throws what dgram says; the descriptor is closed then
 */
export async function dgramSocket(fd: number): Promise<Socket> {
  // Addresses are given as numbers: Node's own way to "resolve" them costs each packet a turn of the event loop.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  try {
    // Node says `listening` before `bind({fd})` returns.
    const listening = once(socket, 'listening');
    socket.bind({ fd });
    await listening;
    return socket;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Makes room for the packets of a storm that come while this program is busy: Linux gives a socket some 160, which a
 * thousand clients a second fill in a tenth of a second. Who is not root has what net.core.rmem_max allows.
 */
export function holdStorm(fd: number): void {
  if (!setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, STORM_BYTES))
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, STORM_BYTES);
}

const STORM_BYTES = 2 ** 22;

/** Whether it was done; numbers are ints of 32 bits. */
export function setSocketOption(fd: number, level: number, name: number, value: number | string): boolean {
  const bytes =
    typeof value === 'string' ? Buffer.from(`${value}\0`) : Buffer.from(Int32Array.of(value).buffer);
  return setOption(fd, level, name, bytes, bytes.length) === 0;
}

/** An option that is a text of less than `room` bytes; undefined where it cannot be told. */
export function socketText(fd: number, level: number, name: number, room: number): string | undefined {
  const text = Buffer.alloc(room);
  const length = Buffer.from(Uint32Array.of(room).buffer);
  if (getOption(fd, level, name, text, length) !== 0) return undefined;
  return text.toString('latin1', 0, Math.max(0, length.readUInt32LE() - 1));
}

/** Whether the kernel has taken the bytes; `to` is a `socketAddress`. */
export function sendNow(fd: number, bytes: Buffer, to: Buffer): boolean {
  return sendTo(fd, bytes, bytes.length, 0, to, to.length) === bytes.length;
}

/** `struct sockaddr_in`: the family in the machine's order (little-endian on both), the port in the network's. */
export function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipv4ToBytes(address), 4);
  return bytes;
}

/** What the last call went wrong by, such as `EADDRINUSE`. */
export function errnoName(): string {
  const number = koffi.errno();
  return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
}
