import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markdownTable } from './report.ts';

test('the table says ours, theirs, the ratio, and whether a goal is reached', () => {
  const table = markdownTable([
    { what: 'first pack', unit: 'seconds', ours: 12, beside: 'tar', theirs: 10, goal: 1.2 },
    { what: 'first pack', unit: 'seconds', ours: 12, beside: 'casync', theirs: 48 },
    { what: 'files read', unit: 'files', ours: 1, beside: 'all', theirs: 100, goal: 0 },
    { what: 'memory', unit: 'bytes', ours: 300e6, beside: 'limit', theirs: 400e6, goal: 1 },
    { what: 'rate', unit: 'per second', ours: 999, beside: 'kea', theirs: 1000, least: 1 },
  ]);
  assert.equal(
    table,
    `
| what       |    ours | beside |  theirs | ratio |  goal |         |
| ---------- | ------: | ------ | ------: | ----: | ----: | ------- |
| first pack | 12.00 s | tar    | 10.00 s | 1.200 | ≤ 1.2 | reached |
| first pack | 12.00 s | casync | 48.00 s | 0.250 |       |         |
| files read |       1 | all    |     100 | 0.010 |   ≤ 0 | missed  |
| memory     |  300 MB | limit  |  400 MB | 0.750 |   ≤ 1 | reached |
| rate       |   999/s | kea    |  1000/s | 0.999 |   ≥ 1 | missed  |
`.trim(),
  );
});
