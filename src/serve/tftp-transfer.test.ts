/** The rules of a transfer, with a client and a wire that are computed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeTftp } from '../net/tftp.ts';
import { Transfer } from './tftp-transfer.ts';

const TIMEOUT_MS = 1000;

interface Run {
  size: number;
  blksize: number;
  windowsize: number;
  /** Whether each packet is lost, in either direction, in the order in which they are sent; those beyond are not. */
  lost?: boolean[];
  /** How often the client says each ACK. */
  acks?: number;
}

/** A client as RFC 7440 has it, which has no clock: it acknowledges full windows, the end, and what it has at a gap. */
class Client {
  readonly parts: Buffer[] = [];
  readonly #run: Run;
  #inWindow = 0;
  #hasSaidGap = false;

  constructor(run: Run) {
    this.#run = run;
  }

  /** The block to acknowledge, if any. */
  take(bytes: Buffer): number | undefined {
    const packet = decodeTftp(bytes);
    if (packet.type === 'oack') return 0;
    assert.ok(packet.type === 'data');
    const { blksize, windowsize } = this.#run;
    if (packet.block !== ((this.parts.length + 1) & 0xffff)) {
      this.#inWindow = 0;
      if (this.#hasSaidGap) return undefined;
      this.#hasSaidGap = true;
      return this.parts.length & 0xffff;
    }
    this.#hasSaidGap = false;
    this.parts.push(Buffer.from(packet.data));
    const isLast = packet.data.length < blksize;
    if (!isLast && ++this.#inWindow < windowsize) return undefined;
    this.#inWindow = 0;
    return packet.block;
  }
}

/** Runs a transfer to its end, in a time that jumps to the next deadline where nothing is on the way. */
function transfer(run: Run): { content: Buffer; received: Buffer; packets: number; seconds: number } {
  const { size, blksize, windowsize, lost = [], acks = 1 } = run;
  const content = Buffer.alloc(size, 'every block is another one');
  const client = new Client(run);
  const toClient: Buffer[] = [];
  let [packets, sent, now] = [0, 0, 0];
  const arrives = (): boolean => lost[sent++] !== true;
  const oack = new Map([['blksize', String(blksize)]]);
  const sending = new Transfer({
    content: { bytes: content },
    size,
    terms: { blksize, windowsize, oack },
    timeoutMs: TIMEOUT_MS,
    tries: lost.length + 1,
    post: (all, length) => {
      for (let at = 0; at < all.length; at += length) {
        packets++;
        if (arrives()) toClient.push(Buffer.from(all.subarray(at, at + length)));
      }
    },
  });
  sending.start(now);
  for (let done = false; !done;) {
    const packet = toClient.shift();
    if (packet === undefined) {
      now = sending.deadline;
      done = sending.expire(now);
      continue;
    }
    const block = client.take(packet);
    const said = block === undefined ? 0 : acks;
    for (let times = 0; times < said && !done; times++)
      if (arrives()) done = sending.take({ type: 'ack', block: block ?? 0 }, now);
  }
  return { content, received: Buffer.concat(client.parts), packets, seconds: now / 1000 };
}

const runs = {
  size: fc.integer({ min: 0, max: 2000 }),
  blksize: fc.integer({ min: 8, max: 100 }),
  windowsize: fc.integer({ min: 1, max: 64 }),
};

test('TFTP-20: whichever packets are lost, the client gets the file whole', () => {
  fc.assert(
    fc.property(fc.record({ ...runs, lost: fc.array(fc.boolean(), { maxLength: 300 }) }), (run) => {
      const { content, received } = transfer(run);
      assert.ok(received.equals(content));
    }),
  );
});

test("TFTP-20: whatever ACKs come twice, no block is sent twice (Sorcerer's Apprentice)", () => {
  fc.assert(
    fc.property(fc.record({ ...runs, acks: fc.integer({ min: 1, max: 5 }) }), (run) => {
      const { content, received, packets } = transfer(run);
      assert.ok(received.equals(content));
      assert.equal(packets, 1 + Math.floor(run.size / run.blksize) + 1);
    }),
  );
});

test('a packet that is lost again and again is repeated after 1, 2, 4, 4 ... times the time', () => {
  const lost = Array.from({ length: 5 }, () => true);
  const { packets, seconds } = transfer({ size: 0, blksize: 512, windowsize: 1, lost });
  assert.equal(packets, 7);
  assert.equal(seconds, 1 + 2 + 4 + 4 + 4);
});
