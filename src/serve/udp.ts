/**
 * UDP sockets with what Node's dgram does not offer: devices, room for a storm, several packets in one call, and packets
 * that cost a few microseconds instead of some twenty; and packets that are not UDP.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { ipv4FromBytes, ipv4ToBytes } from '../net/ipv4.ts';

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
const receiveFrom = libc.func(
  'int64_t recvfrom(int fd, void *bytes, uint64_t room, int flags, void *from, void *fromLength)',
);

export interface Endpoint {
  address: string;
  port: number;
}

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
  const at = socketAddress({ address, port });
  if (prepare(fd) && bindTo(fd, at, at.length) === 0) return fd;
  const errno = errnoName();
  closeSync(fd);
  return { errno };
}

/** A socket over a descriptor, which it closes. dgram says when there is something to read; libc reads and sends it. */
export class UdpSocket {
  onMessage: (bytes: Buffer, from: Endpoint) => void = () => undefined;
  onError: (error: Error) => void = () => undefined;
  readonly #dgram: Socket;
  /** Undefined once it is closed: then the number may be another file's. */
  #fd: number | undefined;

  private constructor(dgram: Socket, fd: number) {
    this.#dgram = dgram;
    this.#fd = fd;
    dgram.on('message', (bytes, from) => this.#take(bytes, from));
    dgram.on('error', (error) => this.onError(error));
  }

  /** @throws what dgram says; the descriptor is closed then */
  static async over(fd: number): Promise<UdpSocket> {
    // Addresses are given as numbers: Node's own way to "resolve" them costs each packet a turn of the event loop.
    const dgram = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
    try {
      // Node says `listening` before `bind({fd})` returns.
      const listening = once(dgram, 'listening');
      dgram.bind({ fd });
      await listening;
      return new UdpSocket(dgram, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** The port that it listens at. */
  get port(): number {
    return this.#dgram.address().port;
  }

  allowBroadcast(): void {
    this.#dgram.setBroadcast(true);
  }

  /** Calls `done` once the packet is on its way, or with what is wrong. Waits for room in the kernel. */
  send(bytes: Buffer, to: Endpoint, done: (error: Error | null) => void = () => undefined): void {
    if (this.#fd === undefined) done(new Error('the socket is closed'));
    else if (sendNow(this.#fd, bytes, socketAddress(to))) done(null);
    else this.#dgram.send(bytes, to.port, to.address, done);
  }

  async close(): Promise<void> {
    this.#fd = undefined;
    const closed = once(this.#dgram, 'close');
    this.#dgram.close();
    await closed;
  }

  /** What dgram has read, and what has come since. */
  #take(bytes: Buffer, from: Endpoint): void {
    const begun = performance.now();
    this.onMessage(bytes, from);
    while (this.#fd !== undefined && performance.now() - begun < TURN_MS) {
      const length = receiveNow(this.#fd, RECEIVED, SENDER);
      if (length < 0) return;
      const sender = { address: ipv4FromBytes(SENDER.subarray(4)), port: SENDER.readUInt16BE(2) };
      this.onMessage(Buffer.from(RECEIVED.subarray(0, length)), sender);
    }
  }
}

/** So long a socket is read, in milliseconds, before all else that there is to do. */
const TURN_MS = 1;
const RECEIVED = Buffer.alloc(65_536);
const SENDER = Buffer.alloc(16);
const SENDER_LENGTH = Buffer.from(Uint32Array.of(SENDER.length).buffer);

/** Whether the kernel has taken the bytes; `to` is a `socketAddress`. Why it has not, `errnoName` tells. */
export function sendNow(fd: number, bytes: Buffer, to: Buffer): boolean {
  return sendTo(fd, bytes, bytes.length, 0, to, to.length) === bytes.length;
}

/** Takes a packet, and its sender's `socketAddress`; returns its length in bytes, or -1 where none has come. */
export function receiveNow(fd: number, into: Buffer, sender: Buffer): number {
  return receiveFrom(fd, into, into.length, 0, sender, SENDER_LENGTH);
}

/**
 * Makes room for the packets of a storm that come while this program is busy: Linux gives a socket some 160, which a
 * thousand clients a second fill in a tenth of a second. Who is not root has what net.core.rmem_max allows.
 */
export function holdStorm(fd: number): void {
  if (!setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, STORM_BYTES))
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, STORM_BYTES);
}

/** Some 1,600 packets. Those behind many more would be answered when their client has asked again already. */
const STORM_BYTES = 2 ** 20;

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

/** `struct sockaddr_in`: the family in the machine's order (little-endian on both), the port in the network's. */
export function socketAddress({ address, port }: Endpoint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipv4ToBytes(address), 4);
  return bytes;
}

const AF_PACKET = 17;
const ETH_P_IPV6 = 0x86dd;

/**
 * A descriptor by which packets of IPv6 can be sent to one card on a wire, and nothing is received (packet(7)); undefined for
 * who may not. What is sent later needs no rights.
 */
export function openLinkSender(): number | undefined {
  const fd: number = openSocket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? undefined : fd;
}

/** Whether the kernel has taken the packet; `to` is a `linkAddress`. */
export function sendOnLink(fd: number, packet: Buffer, to: Buffer): boolean {
  return sendNow(fd, packet, to);
}

/** `struct sockaddr_ll` of a card behind the device with this index. @param mac `52:54:00:12:34:56` */
export function linkAddress(index: number, mac: string): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF_PACKET, 0);
  bytes.writeUInt16BE(ETH_P_IPV6, 2);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt8(6, 11);
  bytes.write(mac.replaceAll(':', ''), 12, 'hex');
  return bytes;
}

/** What the last call went wrong by, such as `EADDRINUSE`. */
export function errnoName(): string {
  const number = koffi.errno();
  return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
}
