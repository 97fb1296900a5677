/**
 * Power, and more, taken from a blade at random moments: the long version (docs/reliability.md). It may be done in parts:
 * `BLADEROOT_SEED` is that of the first, `BLADEROOT_FIRST` the number of the next trial.
 */
import { FAULTS } from './faults.ts';
import { powerTests, WORKS } from './power-tests.ts';
import { seedOfRun } from './random.ts';

function numberFrom(name: string, otherwise: number): number {
  const text = process.env[name] ?? String(otherwise);
  if (!/^\d{1,6}$/.test(text)) throw new Error(`${name} is a number, not ${text}`);
  return Number(text);
}

const faults = FAULTS.flatMap((fault) => fault.during.map((work) => ({ fault, work })));

powerTests({
  name: 'power',
  seed: seedOfRun(),
  trials: {
    works: WORKS,
    first: numberFrom('BLADEROOT_FIRST', 0),
    count: numberFrom('BLADEROOT_TRIALS', 50),
  },
  moments: numberFrom('BLADEROOT_MOMENTS', 300),
  faults: faults.slice(0, numberFrom('BLADEROOT_FAULTS', faults.length)),
});
