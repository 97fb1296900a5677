import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPiped } from '../system/run.ts';
import { callOffDeadline } from './deadline.ts';

test('the process that waits to restart the machine is ended, and no other that has its number by now', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-deadline-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'deadline');
  await callOffDeadline(file);
  for (const [name, signal] of [
    ['not-reboot', 'SIGKILL'],
    ['another', 'SIGTERM'],
  ] as const) {
    const waiting = startPiped('sh', ['-c', 'read -r nothing', name]);
    await writeFile(file, `${waiting.pid}\n`);
    await callOffDeadline(file);
    assert.deepEqual(await readdir(directory), []);
    // Whoever was spared is ended by this.
    waiting.kill('SIGTERM');
    await assert.rejects(waiting.done, { message: new RegExp(`was ended by ${signal}`) });
  }
});
