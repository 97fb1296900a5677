/** For tests: updates a blade as a process that can be killed; its one argument says where everything is, as JSON. */
import type { BladePlaces } from './updated-blade.fixture.ts';
import { updateBlade } from './update.ts';

const places = JSON.parse(process.argv[2] ?? '') as BladePlaces;
await updateBlade({
  ...places,
  partitions: [],
  running: 'a',
  port: 9,
  deploy: false,
  signal: new AbortController().signal,
  onStep: (step) => void process.stdout.write(`${step}\n`),
  onState: async ({ message }) => void process.stdout.write(`${message}\n`),
});
