import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readIfThere } from '../system/read-file.ts';
import { makeBlade } from './updated-blade.fixture.ts';
import { watchReleases } from './watch-releases.ts';

test('a blade looks again and again, and updates when there is something to do, with what nobody else wants', async (t) => {
  const { base, fleet, places } = await makeBlade(t);
  const out = join(base, 'out');
  const over = new AbortController();
  const said: string[] = [];
  const pauses: number[] = [];
  const wait = async (ms: number): Promise<void> => {
    pauses.push(ms);
    if (pauses.length === 2) {
      assert.equal(await readIfThere(out), undefined, 'release 1 is running');
      await fleet.publish();
    }
    if (pauses.length === 4) over.abort(new Error('that is enough'));
    over.signal.throwIfAborted();
  };
  const watching = watchReleases({
    ...places,
    bootAreas: async () => places.esp,
    running: 'a',
    port: 9,
    update: ['sh', '-c', `nice >> ${out}; ionice >> ${out}; echo done >&2`],
    signal: over.signal,
    onStep: (step) => said.push(step),
    wait,
  });
  await assert.rejects(watching, { message: 'that is enough' });
  assert.equal(await readFile(out, 'utf8'), '19\nidle\n19\nidle\n');
  assert.deepEqual(said, ['done', 'done']);
  assert.ok(pauses.every((ms) => ms >= 30_000 && ms <= 90_000));
});
