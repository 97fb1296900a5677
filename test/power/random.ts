/** Chance that can be had again: all of a run hangs on one number. Pure. */

/** Numbers from 0 to below 1: mulberry32 (Tommy Ettinger, 2017), which passes gjrand's tests and fits in a line. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of a run: `BLADEROOT_SEED` has an earlier one's. */
export function seedOfRun(): number {
  const given = process.env['BLADEROOT_SEED'];
  if (given === undefined) return Math.floor(Math.random() * 2 ** 32);
  if (!/^\d{1,10}$/.test(given)) throw new Error(`BLADEROOT_SEED is a number, not ${given}`);
  return Number(given);
}
