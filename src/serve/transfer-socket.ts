/**
 * The server's end of one TFTP transfer: a window is one call of the kernel, which cuts it into packets itself
 * (UDP_SEGMENT, udp(7)).
 */
import { bindError } from './bind-error.ts';
import { errnoName, openUdp, socketAddress, UdpSocket, type Endpoint } from './udp.ts';

/** To be closed by who has opened it. */
export class TransferSocket {
  readonly udp: UdpSocket;
  readonly #client: Endpoint;
  readonly #to: Buffer;
  /** Bytes of the packets that the kernel cuts; 0: none. Undefined where it cannot. */
  #segment: number | undefined = 0;

  private constructor(socket: UdpSocket, client: Endpoint) {
    this.udp = socket;
    this.#client = client;
    this.#to = socketAddress(client);
  }

  /**
   * At any free port of this machine's address.
   * @throws BladerootError `NO_ADDRESS`, `LISTEN_FAILED`
   */
  static async open(address: string, client: Endpoint): Promise<TransferSocket> {
    const fd = openUdp(address, 0);
    if (typeof fd !== 'number')
      throw bindError(fd.errno, { service: 'TFTP', where: address, port: 0, protocol: 'udp' });
    return new TransferSocket(await UdpSocket.over(fd), client);
  }

  /**
   * Sends to the client, and forgets: packets of `size` bytes each, one behind the other; the last one may be shorter. The
   * bytes are not to be changed afterwards.
   */
  post(packets: Buffer, size = packets.length): void {
    const most = Math.max(1, Math.floor(LONGEST / size)) * size;
    for (let at = 0; at < packets.length; at += most) this.#post(packets.subarray(at, at + most), size);
  }

  async close(): Promise<void> {
    await this.udp.close();
  }

  #post(packets: Buffer, size: number): void {
    if (packets.length <= size || this.#cuts(size)) {
      if (this.udp.sendNow(packets, this.#to)) return;
      // Full for the moment, which `send` waits out; or the device cannot do it (EIO), or the way is narrower.
      if (errnoName() !== 'EAGAIN') this.#cutNoMore();
    }
    for (let at = 0; at < packets.length; at += size)
      this.udp.send(packets.subarray(at, at + size), this.#client);
  }

  /** Whether the kernel will cut what it is given into packets of that size. */
  #cuts(size: number): boolean {
    if (this.#segment === 0 && this.udp.setOption(SOL_UDP, UDP_SEGMENT, size)) this.#segment = size;
    return this.#segment === size;
  }

  #cutNoMore(): void {
    this.udp.setOption(SOL_UDP, UDP_SEGMENT, 0);
    this.#segment = undefined;
  }
}

/** Bytes that one call can send: what fits into an IP packet. */
const LONGEST = 65_507;
// From <linux/udp.h>.
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
