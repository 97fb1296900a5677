/** The short version of `npm run test:power`: one cut, of an install or of an update, at another moment in each run. */
import { powerTests, WORKS } from '../power/power-tests.ts';
import { seedOfRun } from '../power/random.ts';

const seed = seedOfRun();

powerTests({
  name: 'power-story',
  seed,
  trials: { works: WORKS.filter((_, index) => index === seed % WORKS.length), first: 0, count: 1 },
  moments: 8,
  faults: [],
});
