/**
 * The server's end of one TFTP transfer. A block is on its way in a third of the time that Node's dgram takes for it, and
 * a window in one call of the kernel, which cuts it into packets itself (UDP_SEGMENT, udp(7)).
 */
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import { bindError } from './bind-error.ts';
import { dgramSocket, errnoName, openUdp, sendNow, setSocketOption, socketAddress } from './udp.ts';

export interface Endpoint {
  address: string;
  port: number;
}

/** To be closed by who has opened it. */
export class TransferSocket {
  readonly #socket: Socket;
  readonly #client: Endpoint;
  readonly #to: Buffer;
  /** Undefined once it is closed: then the number may be another file's. */
  #fd: number | undefined;
  /** Bytes of the packets that the kernel cuts; 0: none. Undefined where it cannot. */
  #segment: number | undefined = 0;

  private constructor(socket: Socket, fd: number, client: Endpoint) {
    this.#socket = socket;
    this.#fd = fd;
    this.#client = client;
    this.#to = socketAddress(client.address, client.port);
  }

  /**
   * At any free port of this machine's address.
   * @throws BladerootError `NO_ADDRESS`, `LISTEN_FAILED`
   */
  static async open(address: string, client: Endpoint): Promise<TransferSocket> {
    const fd = openUdp(address, 0);
    if (typeof fd !== 'number')
      throw bindError(fd.errno, { service: 'TFTP', where: address, port: 0, protocol: 'udp' });
    const socket = await dgramSocket(fd);
    // What cannot be sent or received is a packet lost: repetition or giving up follows.
    socket.on('error', () => undefined);
    return new TransferSocket(socket, fd, client);
  }

  /** What anybody sends to it. */
  set onMessage(listener: (bytes: Buffer, from: RemoteInfo) => void) {
    this.#socket.on('message', listener);
  }

  /**
   * Sends to the client, and forgets: packets of `size` bytes each, one behind the other; the last one may be shorter. The
   * bytes are not to be changed afterwards.
   */
  post(packets: Buffer, size = packets.length): void {
    const most = Math.max(1, Math.floor(LONGEST / size)) * size;
    for (let at = 0; at < packets.length; at += most) this.#post(packets.subarray(at, at + most), size);
  }

  /** Resolves once the packet is on its way; a socket that is closed before would drop it. */
  async send(packet: Buffer, { port, address }: Endpoint = this.#client): Promise<void> {
    if (this.#fd === undefined) return;
    await new Promise<void>((resolve) => this.#socket.send(packet, port, address, () => resolve()));
  }

  async close(): Promise<void> {
    this.#fd = undefined;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #post(packets: Buffer, size: number): void {
    if (this.#fd === undefined) return;
    if (packets.length <= size || this.#cuts(this.#fd, size)) {
      if (sendNow(this.#fd, packets, this.#to)) return;
      // Full for the moment: dgram waits until there is room. Else the device cannot do it (EIO), or the way is narrower.
      if (errnoName() !== 'EAGAIN') this.#cutNoMore(this.#fd);
    }
    for (let at = 0; at < packets.length; at += size) void this.send(packets.subarray(at, at + size));
  }

  /** Whether the kernel will cut what it is given into packets of that size. */
  #cuts(fd: number, size: number): boolean {
    if (this.#segment === 0 && setSocketOption(fd, SOL_UDP, UDP_SEGMENT, size)) this.#segment = size;
    return this.#segment === size;
  }

  #cutNoMore(fd: number): void {
    setSocketOption(fd, SOL_UDP, UDP_SEGMENT, 0);
    this.#segment = undefined;
  }
}

/** Bytes that one call can send: what fits into an IP packet. */
const LONGEST = 65_507;
// From <linux/udp.h>.
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
