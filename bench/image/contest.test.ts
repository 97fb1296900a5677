import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../src/fleet/folder.fixture.ts';
import { contest, type Entrant } from './contest.ts';

test('entrants take turns, each prepared before each run, and the first round is not timed', async (t) => {
  const log = join(await folderOf(t, { log: '' }), 'log');
  const prepared: string[] = [];
  const entrant = (name: string): Entrant => ({
    name,
    command: ['sh', '-c', 'echo "$1" >>"$0"; echo "result of $1"', log, name],
    prepare: () => Promise.resolve(void prepared.push(name)),
  });
  const { ours, peers } = await contest('race', entrant('a'), [{ ...entrant('b'), goal: 2 }], {
    rounds: 2,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
  assert.equal(await readFile(log, 'utf8'), 'a\nb\n'.repeat(3));
  assert.deepEqual(prepared, ['a', 'b', 'a', 'b', 'a', 'b']);
  assert.equal(ours.runs.length, 2);
  assert.equal(ours.seconds, Math.min(...ours.runs));
  assert.equal(ours.stdout, 'result of a\n');
  assert.deepEqual(
    peers.map(({ name, goal }) => ({ name, goal })),
    [{ name: 'b', goal: 2 }],
  );
});
