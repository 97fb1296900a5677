/**
 * Where long contents are cut: by what is in them, so that something put in at the front moves the cuts along with it,
 * and only the part that it is in becomes another. A gear hash as in FastCDC (Xia et al., USENIX ATC 2016) over the last
 * 32 bytes; bytes that cannot be a cut, before the least length, are not looked at.
 */
import { MAX_OBJECT_SIZE } from '../store/frame.ts';

const MIB = 1024 * 1024;

/** A part is not shorter than this, but for the last. */
const MIN_PART = 2 * MIB;
/** Past this a cut is easier to find, so that few parts reach MAX_OBJECT_SIZE, where they are cut anywhere. */
const EASIER_AFTER = 5 * MIB;
/** One byte in 2^21, then one in 2^19, is a cut. */
const HARD_MASK = 0x1fffff << 11;
const EASY_MASK = 0x7ffff << 13;

/** Finds the cuts of one content as it goes by. */
export class Cutter {
  /** Lengths of the parts that are complete. */
  readonly parts: number[] = [];
  #length = 0;
  #hash = 0;

  add(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length;) {
      // What the hash does not depend on by the time it counts is skipped.
      const skipped = Math.min(MIN_PART - WINDOW - this.#length, bytes.length - i);
      if (skipped > 0) {
        i += skipped;
        this.#length += skipped;
        continue;
      }
      i = this.#scan(bytes, i);
    }
  }

  /** The lengths of all parts. */
  finish(): number[] {
    if (this.#length > 0) this.#cut();
    return this.parts;
  }

  /** Looks for a cut from `start` on; returns where it stopped: after the cut, or at the end. */
  #scan(bytes: Uint8Array, start: number): number {
    let hash = this.#hash;
    let length = this.#length;
    let i = start;
    while (i < bytes.length) {
      hash = ((hash << 1) + (GEAR[bytes[i] ?? 0] ?? 0)) | 0;
      i++;
      length++;
      if (length < MIN_PART) continue;
      if ((hash & (length < EASIER_AFTER ? HARD_MASK : EASY_MASK)) === 0 || length === MAX_OBJECT_SIZE) {
        this.#length = length;
        this.#cut();
        return i;
      }
    }
    this.#hash = hash;
    this.#length = length;
    return i;
  }

  #cut(): void {
    this.parts.push(this.#length);
    this.#length = 0;
    this.#hash = 0;
  }
}

/** Bytes that the 32 bits of the hash depend on. */
const WINDOW = 32;

/** A number for each byte, fixed for ever, as cuts would move with them: xorshift32 (Marsaglia, 2003) from 1 on. */
const GEAR = makeGear();

function makeGear(): Int32Array {
  let state = 1;
  return Int32Array.from({ length: 256 }, () => {
    for (let i = 0; i < 8; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
    }
    return state;
  });
}
