/**
 * Memory of buffers that went by. V8 frees what a buffer holds when it collects the buffer, and it is in no hurry, as the
 * few bytes that it counts itself hardly grow: megabyte by megabyte a thread that handles contents would fill hundreds of
 * them. So it is told now and then; a young collection in a thread with little else takes a fraction of a millisecond.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimMemory } from './posix.ts';

/** Bytes that go by between two collections. */
const EVERY = 4 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/**
 * Gives back what a phase of work has left behind, before a long one begins: V8 would let the heap grow to twice what is
 * alive first. As if memory were at its end, which moves together what is left: otherwise a third of the heap stays empty.
 */
export function endPhase(): void {
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  trimMemory();
}

/**
 * Frees the memory of bytes that nobody uses any more: they are gone. Those that share their buffer with others stay; the
 * collector sees to them.
 */
export function giveBack({ buffer, length }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}

let passed = 0;

/** Says that buffers of so many bytes are not needed any more. */
export function letGo(bytes: number): void {
  passed += bytes;
  if (passed < EVERY || typeof collect !== 'function') return;
  passed = 0;
  collect({ type: 'minor' });
}
