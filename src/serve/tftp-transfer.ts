/** One file on its way to one client: blocks, acknowledgements, repetition (RFC 1350, RFC 7440). */
import { BladerootError } from '../errors.ts';
import { encodeTftp, TFTP_DATA_HEADER, writeTftpData, type TftpPacket } from '../net/tftp.ts';
import { readContent, type TftpContent } from './tftp-content.ts';
import type { TftpTerms } from './tftp-terms.ts';

export interface TransferOptions {
  content: TftpContent;
  /** Bytes of the content. */
  size: number;
  terms: TftpTerms;
  /** How long to wait for an ACK before the first repetition, where the client did not ask for another time. */
  timeoutMs: number;
  /** How often a packet is sent before the client is given up. */
  tries: number;
  /** Sends packets of `size` bytes each, one behind the other, the last one maybe shorter; the bytes are used again. */
  post(packets: Buffer, size: number): void;
}

/** Where nobody asked for a time, the second repetition waits for twice as long, and so on up to this many times. */
const LONGEST_WAIT = 4;

/**
 * Blocks are counted from the start of the file, from 1, and not from the last wrap of 16 bits; the OACK is block 0. Times
 * are those of `performance.now()`. Who has made it calls `start`, then `take` for each packet of the client's and `expire`
 * when the `deadline` has come; each returns whether all has arrived, and throws where it never will.
 */
export class Transfer {
  readonly #options: TransferOptions;
  readonly #last: number;
  /** The block up to which the client has all. */
  #done: number;
  /** The last block that is on its way. */
  #sent: number;
  #attempts = 0;
  /** When the window was sent, and how long the last whole one took to be acknowledged. */
  #sentAt = 0;
  #turnaroundMs = 0;
  #hurried = false;
  #heard = false;
  #deadline = Infinity;

  constructor(options: TransferOptions) {
    const { size, terms } = options;
    this.#options = options;
    // The last block is always shorter than a full one, so it is empty when the blocks come out even.
    this.#last = Math.floor(size / terms.blksize) + 1;
    this.#done = terms.oack.size > 0 ? -1 : 0;
    this.#sent = this.#done;
  }

  /** When `expire` is to be called. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Whether the client has said anything since its request. */
  get heard(): boolean {
    return this.#heard;
  }

  /** When the last packets were sent. */
  get sentAt(): number {
    return this.#sentAt;
  }

  /** @throws what reading the content throws */
  start(now: number): void {
    this.#send(now);
  }

  /**
   * @throws BladerootError `TFTP_CANCELLED` when the client ends it with an error packet, as EDK2 does once it knows the
   * size; and what reading the content throws
   */
  take(packet: TftpPacket, now: number): boolean {
    this.#heard = true;
    if (packet.type === 'error') {
      throw new BladerootError('TFTP_CANCELLED', `the client said: ${packet.message} (error ${packet.code})`);
    }
    if (packet.type !== 'ack') return false;
    const ahead = (packet.block - this.#done) & 0xffff;
    if (ahead === 0) this.#hurry(now);
    // Beyond what was sent, or behind: invented, or from long ago.
    if (ahead === 0 || ahead > this.#sent - this.#done) return false;
    if (this.#done + ahead === this.#sent) this.#turnaroundMs = now - this.#sentAt;
    this.#done += ahead;
    this.#attempts = 0;
    if (this.#done === this.#last) return true;
    this.#send(now);
    return false;
  }

  /** @throws BladerootError `TFTP_TIMEOUT` when the client does not answer any more; and what reading the content throws */
  expire(now: number): boolean {
    const { tries } = this.#options;
    if (this.#attempts < tries) {
      this.#send(now);
      return false;
    }
    // Most likely the client has all and is gone, and only its last ACK was lost.
    if (this.#sent === this.#last && this.#heard) return true;
    throw new BladerootError('TFTP_TIMEOUT', `the client did not answer ${tries} times`);
  }

  /**
   * The block before the window was acknowledged once more. Either the first block of the window is lost, or this ACK is
   * a duplicate; to answer it would send everything after it twice, and again for each of those (the Sorcerer's
   * Apprentice). If it is a duplicate, the window's own ACK comes after one turnaround: so there is a repetition after
   * two. With windows of one block nobody sends such ACKs for a lost block.
   */
  #hurry(now: number): void {
    if (this.#options.terms.windowsize === 1 || this.#done < 0 || this.#sent === this.#done || this.#hurried)
      return;
    this.#hurried = true;
    const due = this.#sentAt + 2 * this.#turnaroundMs + 1;
    this.#deadline = Math.min(this.#deadline, Math.max(now + 1, due));
  }

  #send(now: number): void {
    const { terms, timeoutMs, post } = this.#options;
    this.#hurried = false;
    this.#sentAt = now;
    this.#deadline = now + (terms.timeoutMs ?? timeoutMs * Math.min(2 ** this.#attempts, LONGEST_WAIT));
    this.#attempts++;
    if (this.#done < 0) {
      const packet = encodeTftp({ type: 'oack', options: terms.oack });
      post(packet, packet.length);
      this.#sent = 0;
    } else {
      this.#sent = Math.min(this.#done + terms.windowsize, this.#last);
      post(this.#window(), TFTP_DATA_HEADER + terms.blksize);
    }
  }

  /** The packets from the first block that the client has not to the last that is to be sent. */
  #window(): Buffer {
    const { content, size, terms } = this.#options;
    const { blksize } = terms;
    const from = this.#done * blksize;
    const data = readContent(content, from, Math.min(this.#sent * blksize, size) - from);
    const packets = packetRoom((this.#sent - this.#done) * (TFTP_DATA_HEADER + blksize));
    let end = 0;
    for (let block = this.#done + 1, at = 0; block <= this.#sent; block++, at += blksize) {
      // One is the usual window, and most of the work.
      const part = terms.windowsize === 1 ? data : data.subarray(at, at + blksize);
      end = writeTftpData(packets, end, block & 0xffff, part);
    }
    return packets.subarray(0, end);
  }
}

/** What is to be sent is written here, by one transfer at a time. */
let room = Buffer.alloc(0);

function packetRoom(bytes: number): Buffer {
  if (room.length < bytes) room = Buffer.alloc(bytes);
  return room;
}
