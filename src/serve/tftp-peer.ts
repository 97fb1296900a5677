/** A client's end of one transfer, as seen from a socket that serves nobody else. */
import { decodeTftp, encodeTftp, TFTP_DATA_HEADER, TFTP_ERROR, type TftpPacket } from '../net/tftp.ts';
import type { Endpoint, TransferSocket } from './transfer-socket.ts';

export class TftpPeer {
  /** Takes what the client says; whoever waits for it puts himself here. */
  onPacket: (packet: TftpPacket) => void = () => undefined;
  readonly #socket: TransferSocket;
  readonly #client: Endpoint;
  readonly #onHeard: () => void;
  #heard = false;

  /** `onHeard` is called once, when the client answers for the first time: its address is no invention then. */
  constructor(socket: TransferSocket, client: Endpoint, onHeard: () => void = () => undefined) {
    this.#socket = socket;
    this.#client = client;
    this.#onHeard = onHeard;
    socket.onMessage = (bytes, from) => this.#take(bytes, from);
  }

  /** Whether the client has said anything since its request. */
  get heard(): boolean {
    return this.#heard;
  }

  /** Sends and forgets. */
  post(packet: TftpPacket): void {
    this.#socket.post(encodeTftp(packet));
  }

  /** Sends data packets with `size` bytes of data each, written one behind the other by `writeTftpData`, and forgets. */
  postData(packets: Buffer, size: number): void {
    this.#socket.post(packets, TFTP_DATA_HEADER + size);
  }

  /** Resolves once the packet is on its way; a socket that is closed before would drop it. */
  async send(packet: TftpPacket): Promise<void> {
    await this.#socket.send(encodeTftp(packet));
  }

  #take(bytes: Buffer, from: Endpoint): void {
    if (from.port !== this.#client.port || from.address !== this.#client.address) {
      const message = 'this port serves another transfer';
      const refusal = encodeTftp({ type: 'error', code: TFTP_ERROR.unknownTransferId, message });
      void this.#socket.send(refusal, from);
      return;
    }
    let packet: TftpPacket;
    try {
      packet = decodeTftp(bytes);
    } catch {
      // Not TFTP, so neither an ACK nor an error: as good as lost.
      return;
    }
    if (!this.#heard) {
      this.#heard = true;
      this.#onHeard();
    }
    this.onPacket(packet);
  }
}
