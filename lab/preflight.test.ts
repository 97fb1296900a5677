import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../src/system/run.ts';
import { findFaults, preflight } from './preflight.ts';

const request = {
  directory: join(tmpdir(), 'bladeroot-preflight-never-made', 'deeper'),
  diskBytes: 1_000_000,
  machines: ['web01'],
  uefi: false,
};

test('preflight finds no fault on a machine where a lab can be built, and leaves no namespace', async () => {
  assert.deepEqual(await findFaults(request), []);
  const { stdout } = await run('ip', ['netns', 'list']);
  assert.doesNotMatch(stdout, new RegExp(`br-preflight\\.${process.pid}`));
});

test('preflight names every missing program at once, and the package that has it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-preflight-'));
  t.after(async () => await rm(directory, { recursive: true }));
  await symlink('/bin/true', join(directory, 'setpriv'));
  await assert.rejects(preflight({ ...request, path: directory }), {
    code: 'LAB_PREFLIGHT',
    message:
      'the lab cannot be built here: qemu-system-x86_64 is not installed (apt-get install qemu-system-x86); ' +
      'ip is not installed (apt-get install iproute2)',
  });
});

test('preflight says how much disk is wanted and how much is there', async () => {
  const faults = await findFaults({ ...request, diskBytes: 1e18 });
  assert.equal(faults.length, 1);
  assert.match(
    faults[0]?.what ?? '',
    /has \d+\.\d GB free and the machines' disks may need 1000000000\.0 GB/,
  );
});

test('preflight refuses a directory whose path is too long for a unix socket', async () => {
  const faults = await findFaults({ ...request, directory: join(tmpdir(), 'x'.repeat(80)) });
  assert.match(faults[0]?.what ?? '', /console\.sock is too long for a socket/);
});
