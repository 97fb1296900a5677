/** One file on its way to one client: blocks, acknowledgements, repetition (RFC 1350, RFC 7440). */
import type { Socket } from 'node:dgram';
import { BladerootError } from '../errors.ts';
import { decodeTftp, encodeTftp, TFTP_ERROR, type TftpPacket } from '../net/tftp.ts';
import type { TftpFile } from './tftp-files.ts';
import type { TftpTerms } from './tftp-terms.ts';

export interface Endpoint {
  address: string;
  port: number;
}

/** The client's end, as seen from a socket that serves nobody else. */
export class TftpPeer {
  /** Whether the client has said anything since its request. */
  heard = false;
  readonly #socket: Socket;
  readonly #client: Endpoint;
  readonly #inbox: TftpPacket[] = [];
  #wake: () => void = () => undefined;

  constructor(socket: Socket, client: Endpoint) {
    this.#socket = socket;
    this.#client = client;
    socket.on('message', (bytes, from) => this.#take(bytes, from));
    socket.on('error', () => this.#wake());
  }

  /** Resolves once the packet is on its way; a socket that is closed before would drop it. */
  async send(packet: TftpPacket): Promise<void> {
    const { port, address } = this.#client;
    // One that cannot be sent is a packet lost: repetition or giving up follows.
    await new Promise<void>((resolve) =>
      this.#socket.send(encodeTftp(packet), port, address, () => resolve()),
    );
  }

  /** The client's next packet; undefined when none has come by `deadline` (as `performance.now()` counts). */
  async receive(deadline: number, signal: AbortSignal): Promise<TftpPacket | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const packet = this.#inbox.shift();
      const left = deadline - performance.now();
      if (packet !== undefined || left <= 0) return packet;
      await this.#waitForMail(left, signal);
    }
  }

  async #waitForMail(milliseconds: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    const wake = (): void => resolve();
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
  }

  #take(bytes: Buffer, from: Endpoint): void {
    if (from.port !== this.#client.port || from.address !== this.#client.address) {
      const message = 'this port serves another transfer';
      const refusal = encodeTftp({ type: 'error', code: TFTP_ERROR.unknownTransferId, message });
      this.#socket.send(refusal, from.port, from.address);
      return;
    }
    this.heard = true;
    try {
      this.#inbox.push(decodeTftp(bytes));
    } catch {
      // Not TFTP, so neither an ACK nor an error: as good as lost.
      return;
    }
    this.#wake();
  }
}

export interface TransferOptions {
  /** How long to wait for an ACK, where the client did not ask for another time. */
  timeoutMs: number;
  /** How often a packet is sent before the client is given up. */
  tries: number;
  signal: AbortSignal;
}

/**
 * Sends a file to its end.
 * @throws BladerootError `TFTP_CANCELLED` when the client ends it with an error packet, as EDK2 does once it knows the
 * size; `TFTP_TIMEOUT` when it does not answer any more; the signal's reason; and what reading the file throws
 */
export async function sendFile(
  peer: TftpPeer,
  file: TftpFile,
  terms: TftpTerms,
  options: TransferOptions,
): Promise<void> {
  const { blksize, windowsize, oack } = terms;
  const waits = { ...options, timeoutMs: terms.timeoutMs ?? options.timeoutMs };
  // The OACK is acknowledged as block 0.
  if (oack.size > 0) await acknowledged(peer, [{ type: 'oack', options: oack }], -1, waits);
  // The last block is always shorter than a full one, so it is empty when the blocks come out even.
  const last = Math.floor(file.size / blksize) + 1;
  for (let done = 0; done < last;) {
    const count = Math.min(windowsize, last - done);
    const bytes = await file.read(done * blksize, count * blksize);
    const window = Array.from({ length: count }, (_, index): TftpPacket => {
      const data = bytes.subarray(index * blksize, (index + 1) * blksize);
      return { type: 'data', block: (done + 1 + index) & 0xffff, data };
    });
    try {
      done = await acknowledged(peer, window, done, waits);
    } catch (error) {
      // Most likely the client has all and is gone, and only its last ACK was lost.
      const gone = error instanceof BladerootError && error.code === 'TFTP_TIMEOUT';
      if (!gone || done + count < last || !peer.heard) throw error;
      return;
    }
  }
}

/**
 * Sends the packets until the client acknowledges one of them, and returns that block's number, counted from the start of
 * the file and not from the last wrap of 16 bits. `before` is the block before the first packet. An ACK of that one, or
 * of an older one, is a duplicate: answering it would send everything after it twice (the Sorcerer's Apprentice).
 */
async function acknowledged(
  peer: TftpPeer,
  packets: TftpPacket[],
  before: number,
  { timeoutMs, tries, signal }: TransferOptions,
): Promise<number> {
  for (let attempt = 0; attempt < tries; attempt++) {
    for (const packet of packets) await peer.send(packet);
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const packet = await peer.receive(deadline, signal);
      if (packet === undefined) break;
      if (packet.type === 'error') {
        throw new BladerootError(
          'TFTP_CANCELLED',
          `the client said: ${packet.message} (error ${packet.code})`,
        );
      }
      if (packet.type !== 'ack') continue;
      const ahead = (packet.block - before) & 0xffff;
      if (ahead >= 1 && ahead <= packets.length) return before + ahead;
    }
  }
  throw new BladerootError('TFTP_TIMEOUT', `the client did not answer ${tries} times`);
}
