/** The short version of `npm run test:power`: what takes least time of each kind, at other moments in each run. */
import { FAULTS } from '../power/faults.ts';
import { powerTests } from '../power/power-tests.ts';

const [killed] = FAULTS;
if (killed === undefined) throw new Error('there are no faults');

powerTests({
  name: `power-story`,
  trials: { first: 0, count: 1 },
  moments: 12,
  faults: [{ fault: killed, work: 'update' }],
});
