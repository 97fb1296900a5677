/**
 * The server's end of one TFTP transfer, for a thread that does nothing else: calls of the kernel, and no event loop. A
 * window is one call, which the kernel cuts into packets itself (UDP_SEGMENT, udp(7)).
 */
import { closeSync } from 'node:fs';
import { encodeTftp, TFTP_ERROR } from '../net/tftp.ts';
import { bindError } from './bind-error.ts';
import {
  errnoName,
  openUdp,
  receiveNow,
  sendNow,
  setSocketOption,
  socketAddress,
  type Endpoint,
} from './udp.ts';

/** To be closed by who has opened it. */
export class TransferSocket {
  readonly fd: number;
  readonly #client: Buffer;
  /** Bytes of the packets that the kernel cuts; 0: none. Undefined where it cannot. */
  #segment: number | undefined = 0;

  private constructor(fd: number, client: Endpoint) {
    this.fd = fd;
    this.#client = socketAddress(client);
  }

  /**
   * At any free port of this machine's address.
   * @throws BladerootError `NO_ADDRESS`, `LISTEN_FAILED`
   */
  static open(address: string, client: Endpoint): TransferSocket {
    const fd = openUdp(address, 0);
    if (typeof fd !== 'number')
      throw bindError(fd.errno, { service: 'TFTP', where: address, port: 0, protocol: 'udp' });
    return new TransferSocket(fd, client);
  }

  /**
   * Sends to the client, and forgets: packets of `size` bytes each, one behind the other; the last one may be shorter. What
   * the kernel has no room for is lost, as on the wire.
   */
  post(packets: Buffer, size = packets.length): void {
    const most = Math.max(1, Math.floor(LONGEST / size)) * size;
    if (packets.length <= most) this.#post(packets, size);
    else for (let at = 0; at < packets.length; at += most) this.#post(packets.subarray(at, at + most), size);
  }

  /**
   * Takes one packet. Returns it where it is the client's; the bytes are there until the next call. Whoever else has found
   * this port is told that it is not his.
   */
  receive(): Buffer | undefined {
    const length = receiveNow(this.fd, RECEIVED, SENDER);
    if (length < 0) return undefined;
    // The port and the address, without the zeros that follow them in one and not in another.
    if (SENDER.compare(this.#client, 2, 8, 2, 8) === 0) return RECEIVED.subarray(0, length);
    sendNow(this.fd, REFUSAL, SENDER);
    return undefined;
  }

  close(): void {
    closeSync(this.fd);
  }

  #post(packets: Buffer, size: number): void {
    if (packets.length <= size ? this.#leavesWhole(size) : this.#cuts(size)) {
      if (sendNow(this.fd, packets, this.#client) || errnoName() === 'EAGAIN') return;
      // The device cannot do it (EIO), or the way is narrower.
      this.#cutNoMore();
    }
    for (let at = 0; at < packets.length; at += size)
      sendNow(this.fd, packets.subarray(at, at + size), this.#client);
  }

  /** Whether the kernel will cut what it is given into packets of that size. */
  #cuts(size: number): boolean {
    if (this.#segment === 0 && setSocketOption(this.fd, SOL_UDP, UDP_SEGMENT, size)) this.#segment = size;
    return this.#segment === size;
  }

  /** The option stays with the socket, and would cut a longer packet as well: an error after small blocks. */
  #leavesWhole(size: number): boolean {
    if (this.#segment !== undefined && this.#segment !== 0 && this.#segment < size) this.#cutNoMore();
    return true;
  }

  #cutNoMore(): void {
    setSocketOption(this.fd, SOL_UDP, UDP_SEGMENT, 0);
    this.#segment = undefined;
  }
}

/** Bytes that one call can send: what fits into an IP packet. */
const LONGEST = 65_507;
// From <linux/udp.h>.
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

const RECEIVED = Buffer.alloc(65_536);
const SENDER = Buffer.alloc(16);
const REFUSAL = encodeTftp({
  type: 'error',
  code: TFTP_ERROR.unknownTransferId,
  message: 'this port serves another transfer',
});
