import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { follow } from './follow.ts';
import { attachProcess, identify, isRunning, startProcess, stopProcess } from './process.ts';

const directory = await mkdtemp(join(tmpdir(), 'bladeroot-process-'));
const logs = { stdout: join(directory, 'out'), stderr: join(directory, 'err') };
test.after(async () => await rm(directory, { recursive: true }));

test('a recycled pid is not taken for the program that had it before', () => {
  const me = identify();
  assert.ok(isRunning(me));
  assert.ok(!isRunning({ ...me, startTime: me.startTime - 1 }));
  attachProcess({ ...me, startTime: me.startTime - 1 }).kill('SIGKILL'); // or this test would end here
});

test('its owner learns how a program ended, and its output is in the files', async () => {
  const child = await startProcess('sh', ['-c', 'echo "$GREETING"; exit 3'], {
    ...logs,
    env: { GREETING: 'hello' },
    outlive: false,
  });
  assert.deepEqual(await child.ended(), { status: 3, signal: null });
  assert.equal(await readFile(logs.stdout, 'utf8'), 'hello\n');
});

test('a program that ignores SIGTERM is killed when its time is over, and what it started too', async () => {
  const script = 'trap "" TERM; echo ignored; sleep 60 & wait; wait';
  const child = await startProcess('sh', ['-c', script], { ...logs, outlive: true });
  for await (const said of follow(logs.stdout, 0, AbortSignal.timeout(10_000))) {
    if (said.includes('ignored')) break;
  }
  const other = attachProcess(child.id);
  assert.equal((await stopProcess(other, 200)).signal, null, 'not our child to know');
  assert.equal((await child.ended()).signal, 'SIGKILL');
});

test('waiting for an end can be given up', async () => {
  const child = await startProcess('sleep', ['60'], { ...logs, outlive: false });
  await assert.rejects(child.ended(AbortSignal.timeout(100)));
  child.kill('SIGKILL');
  await child.ended();
});

test('a program that does not exist is named', async () => {
  await assert.rejects(startProcess('bladeroot-no-such-program', [], { ...logs, outlive: true }), {
    code: 'PROGRAM_FAILED',
    message: /bladeroot-no-such-program/,
  });
});
