/** One file on its way to one client: blocks, acknowledgements, repetition (RFC 1350, RFC 7440). */
import { BladerootError } from '../errors.ts';
import { TFTP_DATA_HEADER, writeTftpData, type TftpPacket } from '../net/tftp.ts';
import type { TftpFile } from './tftp-files.ts';
import type { TftpPeer } from './tftp-peer.ts';
import type { TftpTerms } from './tftp-terms.ts';

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
  const { signal } = options;
  signal.throwIfAborted();
  const sending = new Sending(peer, file, terms, options);
  const abort = (): void => sending.end(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await sending.ended;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Bytes that are read at once, about: a block at a time would be a wait for each. */
const SLICE = 262_144;

/** Blocks are counted from the start of the file, from 1, and not from the last wrap of 16 bits; the OACK is block 0. */
class Sending {
  readonly ended: Promise<void>;
  readonly #settle: PromiseWithResolvers<void>;
  readonly #peer: TftpPeer;
  readonly #file: TftpFile;
  readonly #terms: TftpTerms;
  readonly #timeoutMs: number;
  readonly #tries: number;
  readonly #last: number;
  /** A file is read in slices of this many blocks; those that the window lies in are here by number. */
  readonly #sliceBlocks: number;
  #slices = new Map<number, Buffer>();
  /** The block up to which the client has all. */
  #done: number;
  /** The last block that is on its way. */
  #sent: number;
  #attempts = 0;
  /** When the window was sent, as `performance.now()` counts, and how long the last whole one took to be acknowledged. */
  #sentAt = 0;
  #turnaroundMs = 0;
  #hurried = false;
  #over = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(peer: TftpPeer, file: TftpFile, terms: TftpTerms, { timeoutMs, tries }: TransferOptions) {
    this.#settle = Promise.withResolvers();
    this.ended = this.#settle.promise;
    this.#peer = peer;
    this.#file = file;
    this.#terms = terms;
    this.#timeoutMs = terms.timeoutMs ?? timeoutMs;
    this.#tries = tries;
    // The last block is always shorter than a full one, so it is empty when the blocks come out even.
    this.#last = Math.floor(file.size / terms.blksize) + 1;
    this.#sliceBlocks = Math.max(terms.windowsize, Math.ceil(SLICE / terms.blksize));
    this.#done = terms.oack.size > 0 ? -1 : 0;
    this.#sent = this.#done;
    peer.onPacket = (packet) => this.#take(packet);
    this.#sendNext();
  }

  /** Without an error: all has arrived. */
  end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#peer.onPacket = () => undefined;
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
  }

  #take(packet: TftpPacket): void {
    if (packet.type === 'error') {
      const said = `the client said: ${packet.message} (error ${packet.code})`;
      this.end(new BladerootError('TFTP_CANCELLED', said));
    } else if (packet.type === 'ack') {
      const ahead = (packet.block - this.#done) & 0xffff;
      if (ahead === 0) this.#hurry();
      // Beyond what was sent, or behind: invented, or from long ago.
      else if (ahead <= this.#sent - this.#done) this.#advance(ahead);
    }
  }

  #advance(blocks: number): void {
    if (this.#done + blocks === this.#sent) this.#turnaroundMs = performance.now() - this.#sentAt;
    this.#done += blocks;
    this.#attempts = 0;
    this.#sent = this.#done;
    if (this.#done === this.#last) this.end();
    else this.#sendNext();
  }

  /**
   * The block before the window was acknowledged once more. Either the first block of the window is lost, or this ACK is
   * a duplicate; to answer it would send everything after it twice, and again for each of those (the Sorcerer's
   * Apprentice). If it is a duplicate, the window's own ACK comes after one turnaround: so there is a repetition after
   * two. With windows of one block nobody sends such ACKs for a lost block.
   */
  #hurry(): void {
    if (this.#terms.windowsize === 1 || this.#done < 0 || this.#sent === this.#done || this.#hurried) return;
    this.#hurried = true;
    const due = this.#sentAt + 2 * this.#turnaroundMs + 1;
    this.#waitFor(Math.min(this.#timeoutMs, Math.max(1, due - performance.now())));
  }

  #sendNext(): void {
    if (this.#done >= 0 && !this.#loaded()) {
      this.#load().then(
        () => this.#send(),
        (error: unknown) => this.end(error),
      );
    } else this.#send();
  }

  #send(): void {
    if (this.#over) return;
    const { blksize, oack } = this.#terms;
    this.#attempts++;
    this.#hurried = false;
    this.#sentAt = performance.now();
    if (this.#done < 0) {
      this.#peer.post({ type: 'oack', options: oack });
      this.#sent = 0;
    } else {
      this.#sent = this.#windowEnd();
      const packets = Buffer.allocUnsafe((this.#sent - this.#done) * (TFTP_DATA_HEADER + blksize));
      let end = 0;
      for (let block = this.#done + 1; block <= this.#sent; block++) {
        const slice = this.#slices.get(this.#sliceOf(block)) ?? NOTHING;
        const at = ((block - 1) % this.#sliceBlocks) * blksize;
        end = writeTftpData(packets, end, block & 0xffff, slice.subarray(at, at + blksize));
      }
      this.#peer.postData(packets.subarray(0, end), blksize);
    }
    this.#waitFor(this.#timeoutMs);
  }

  #waitFor(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onTimeout(), milliseconds);
  }

  #onTimeout(): void {
    if (this.#attempts < this.#tries) this.#send();
    // Most likely the client has all and is gone, and only its last ACK was lost.
    else if (this.#sent === this.#last && this.#peer.heard) this.end();
    else this.end(new BladerootError('TFTP_TIMEOUT', `the client did not answer ${this.#tries} times`));
  }

  #windowEnd(): number {
    return Math.min(this.#done + this.#terms.windowsize, this.#last);
  }

  #sliceOf(block: number): number {
    return Math.floor((block - 1) / this.#sliceBlocks);
  }

  #loaded(): boolean {
    return (
      this.#slices.has(this.#sliceOf(this.#done + 1)) && this.#slices.has(this.#sliceOf(this.#windowEnd()))
    );
  }

  /** Reads the slices that the next window lies in, and lets go of those before it. */
  async #load(): Promise<void> {
    clearTimeout(this.#timer);
    const bytes = this.#sliceBlocks * this.#terms.blksize;
    const wanted = new Set([this.#sliceOf(this.#done + 1), this.#sliceOf(this.#windowEnd())]);
    const slices = new Map<number, Buffer>();
    for (const slice of wanted) {
      slices.set(slice, this.#slices.get(slice) ?? (await this.#file.read(slice * bytes, bytes)));
    }
    this.#slices = slices;
  }
}

const NOTHING = Buffer.alloc(0);
