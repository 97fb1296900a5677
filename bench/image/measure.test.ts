import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../src/fleet/folder.fixture.ts';
import { run } from '../../src/system/run.ts';
import { measure } from './measure.ts';
import { script } from './command.ts';

const { signal } = new AbortController();
const NODE = process.execPath;

test('the most memory that a command had is found', async () => {
  const hold = 'globalThis.held = Buffer.alloc(200e6, 1); setTimeout(() => 0, 500);';
  const { peakBytes = 0 } = await measure([NODE, '-e', hold], { memory: true, signal });
  assert.ok(peakBytes > 200e6 && peakBytes < 400e6, `${peakBytes} bytes`);
});

test('the time of processors is that of all the processes that a command has started', async () => {
  const busy = 'do for (let i = 0; i < 1e7; i++); while (process.cpuUsage().user < 300_000);';
  const both = ['sh', '-c', '"$0" -e "$1" && sh -c \'"$0" -e "$1"\' "$0" "$1"', NODE, busy];
  const { seconds, cpuSeconds, peakBytes } = await measure(both, { memory: false, signal });
  assert.ok(cpuSeconds >= 0.6, `${cpuSeconds} s of processors`);
  assert.ok(seconds >= 0.6, `${seconds} s`);
  assert.equal(peakBytes, undefined, 'nobody asked for it');
});

test('what a command printed is there; one that fails is an error with what it said', async () => {
  const { stdout } = await measure(['echo', 'done'], { memory: false, signal });
  assert.equal(stdout, 'done\n');
  const failing = ['sh', '-c', 'echo no space >&2; exit 1'];
  await assert.rejects(measure(failing, { memory: false, signal }), /no space/);
});

test('a pipeline fails when its first program does', async () => {
  await assert.rejects(measure(script('false | cat'), { memory: false, signal }), /status 1/);
});

test('nothing of a command outlives an abort', async (t) => {
  const folder = await folderOf(t, {});
  const [lock, started] = [join(folder, 'lock'), join(folder, 'started')];
  await run('mkfifo', [started]);
  const stop = new AbortController();
  const hold = 'flock "$0" sh -c \'echo started >"$0"; exec sleep 1000\' "$1" & wait';
  const running = measure(['sh', '-c', hold, lock, started], { memory: true, signal: stop.signal });
  assert.equal(await readFile(started, 'utf8'), 'started\n');
  stop.abort(new Error('stopped'));
  await assert.rejects(running, /stopped/);
  await run('flock', ['--nonblock', lock, 'true']);
});
