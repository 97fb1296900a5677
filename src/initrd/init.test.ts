import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { run } from '../system/run.ts';

for (const script of ['init.sh', 'udhcpc.sh']) {
  const path = fileURLToPath(new URL(script, import.meta.url));

  test(`busybox sh reads ${script}`, async () => {
    await run('busybox', ['sh', '-n', path]);
  });

  test(`${script} needs no shell but the POSIX one`, async () => {
    await run('sh', ['-n', path]);
    assert.match(await readFile(path, 'utf8'), /^#!\/bin\/sh\n/);
  });
}
