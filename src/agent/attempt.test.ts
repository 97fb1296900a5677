import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BladerootError } from '../errors.ts';
import { attempt } from './attempt.ts';
import { Reporter } from './reporter.ts';

function listen(): { reporter: Reporter; said: string[] } {
  const said: string[] = [];
  return { reporter: new Reporter('boot', (line) => said.push(line)), said };
}

function noWait(): Promise<void> {
  assert.fail('nothing to wait for');
}

test('a step that succeeds is done once, without waiting', async () => {
  const { reporter, said } = listen();
  assert.equal(await attempt('disk', reporter, () => Promise.resolve(7), noWait), 7);
  assert.deepEqual(said, []);
});

test('a step that fails is done again, what is wrong is said each time, and what it returns at last counts', async () => {
  const { reporter, said } = listen();
  let tries = 0;
  const work = async (): Promise<string> => {
    if (++tries < 3) throw new BladerootError('X', `broken ${tries}`, { hint: 'mend it' });
    return 'done';
  };
  assert.equal(await attempt('fetch', reporter, work, () => Promise.resolve()), 'done');
  assert.equal(said.length, 2);
  assert.match(said[0] ?? '', /^fetch failed: broken 1; mend it \(trying again in \d+\.\d s\)$/);
  assert.match(said[1] ?? '', /broken 2/);
});

test('the waits grow, each longer or shorter by chance; after the fifth try the last error is thrown', async (t) => {
  for (const [chance, expected] of [
    [0, [500, 1000, 2000, 4000]],
    [0.5, [1000, 2000, 4000, 8000]],
  ] as const) {
    t.mock.method(Math, 'random', () => chance);
    const { reporter, said } = listen();
    const waits: number[] = [];
    let tries = 0;
    const work = (): Promise<never> => Promise.reject(new Error(`try ${++tries}`));
    const wait = async (ms: number): Promise<void> => void waits.push(ms);
    await assert.rejects(attempt('disk', reporter, work, wait), { message: 'try 5' });
    assert.deepEqual(waits, expected);
    assert.equal(said.at(-1), 'disk failed: try 5 (given up)');
    t.mock.restoreAll();
  }
});
