/** A client's end of one transfer, as seen from a socket that serves nobody else. */
import type { Socket } from 'node:dgram';
import { decodeTftp, encodeTftp, TFTP_ERROR, type TftpPacket } from '../net/tftp.ts';

export interface Endpoint {
  address: string;
  port: number;
}

export class TftpPeer {
  /** Takes what the client says; whoever waits for it puts himself here. */
  onPacket: (packet: TftpPacket) => void = () => undefined;
  readonly #socket: Socket;
  readonly #client: Endpoint;
  readonly #onHeard: () => void;
  #heard = false;

  /** `onHeard` is called once, when the client answers for the first time: its address is no invention then. */
  constructor(socket: Socket, client: Endpoint, onHeard: () => void = () => undefined) {
    this.#socket = socket;
    this.#client = client;
    this.#onHeard = onHeard;
    socket.on('message', (bytes, from) => this.#take(bytes, from));
    // What cannot be sent or received is a packet lost: repetition or giving up follows.
    socket.on('error', () => undefined);
  }

  /** Whether the client has said anything since its request. */
  get heard(): boolean {
    return this.#heard;
  }

  /** Sends and forgets. */
  post(packet: TftpPacket): void {
    this.#socket.send(encodeTftp(packet), this.#client.port, this.#client.address, lost);
  }

  /** Resolves once the packet is on its way; a socket that is closed before would drop it. */
  async send(packet: TftpPacket): Promise<void> {
    const { port, address } = this.#client;
    await new Promise<void>((resolve) =>
      this.#socket.send(encodeTftp(packet), port, address, () => resolve()),
    );
  }

  #take(bytes: Buffer, from: Endpoint): void {
    if (from.port !== this.#client.port || from.address !== this.#client.address) {
      const message = 'this port serves another transfer';
      const refusal = encodeTftp({ type: 'error', code: TFTP_ERROR.unknownTransferId, message });
      this.#socket.send(refusal, from.port, from.address, lost);
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

/** Without a callback, Node makes an error of every packet that cannot be sent. */
const lost = (): void => undefined;
