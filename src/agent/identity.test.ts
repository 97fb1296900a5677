import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { newIdentity } from '../secrets/identity-file.ts';
import { run } from '../system/run.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';
import { blankDisk, usedDisk } from '../disks/disks.fixture.ts';
import { makeFileSystem } from '../storage/file-systems.ts';
import { describeIdentity, findIdentity, keepIdentity } from './identity.ts';

async function scratch(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-identity-'));
  t.after(async () => await rm(base, { recursive: true, force: true }));
  return base;
}

/** A disk that bladeroot has laid out, all of whose partitions are one device of 16 MiB. */
async function laidOut(t: TestContext, base: string): Promise<string> {
  const image = join(base, 'disk');
  await writeFile(image, '');
  await truncate(image, 16 * 1024 ** 2);
  const device = (await run('losetup', ['--find', '--show', image])).stdout.trim();
  t.after(async () => await run('losetup', ['--detach', device]));
  return device;
}

function diskOf(device: string, fileSystem?: string): DiskFacts {
  const partitions = Object.values(PARTITIONS).map((name, number) => ({
    number,
    name,
    path: device,
    uuid: '',
    type: '',
    start: 0,
    bytes: 0,
    blank: fileSystem === undefined,
    ...(fileSystem === undefined ? {} : { fileSystem }),
  }));
  return usedDisk('/dev/sda', 0, partitions);
}

test('an identity is made once: what is on the persistent partition is found again', async (t) => {
  const base = await scratch(t);
  const mountPoint = join(base, 'persist');
  const device = await laidOut(t, base);
  const fresh = await findIdentity([diskOf(device)], mountPoint);
  assert.match(fresh.secret, /^AGE-SECRET-KEY-1/, 'a partition that was never formatted');
  const disk = diskOf(device, 'ext4');
  await makeFileSystem('ext4', device, 'persist');
  const other = await findIdentity([disk], mountPoint);
  assert.notEqual(other.recipient, fresh.recipient, 'nothing was kept so far');

  await run('mount', [device, mountPoint]);
  const state = join(mountPoint, 'bladeroot');
  assert.deepEqual(await keepIdentity(state, other), other);
  assert.deepEqual(await keepIdentity(state, fresh), other, 'the first one stays');
  assert.equal((await stat(state)).mode & 0o777, 0o755, 'the boot services can enter it');
  assert.equal((await stat(join(state, 'identity'))).mode & 0o777, 0o700);
  assert.equal((await stat(join(state, 'identity/age.key'))).mode & 0o777, 0o600);
  await run('umount', [mountPoint]);

  assert.deepEqual(await findIdentity([blankDisk('/dev/sdb', 0), disk], mountPoint), other);
  assert.ok(!(await readFile('/proc/mounts', 'utf8')).includes(mountPoint), 'nothing stays mounted');
});

test('a machine without a disk of bladeroot has an identity of its own all the same', async (t) => {
  const mountPoint = join(await scratch(t), 'persist');
  const [one, two] = [
    await findIdentity([], mountPoint),
    await findIdentity([blankDisk('/dev/sda', 0)], mountPoint),
  ];
  assert.notEqual(one.secret, two.secret);
});

test('a damaged identity is not replaced by another, which nobody has approved', async (t) => {
  const state = await scratch(t);
  await mkdir(join(state, 'identity'));
  await writeFile(join(state, 'identity/age.key'), '', { mode: 0o600 });
  await assert.rejects(keepIdentity(state, await newIdentity()), {
    code: 'BAD_IDENTITY',
    message: /age\.key/,
  });
  assert.equal(await readFile(join(state, 'identity/age.key'), 'utf8'), '');
});

test('the console says whether the identity is accepted, and what to do', async () => {
  const { recipient } = await newIdentity();
  assert.match(describeIdentity({ name: 'web01' }, recipient), /blade approve web01$/);
  assert.match(describeIdentity({ name: 'web01', recipient }, recipient), /accepted for web01$/);
  assert.match(describeIdentity({ name: 'web01', recipient: 'age1other' }, recipient), /it gets no secrets$/);
});
