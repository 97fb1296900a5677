import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../src/fleet/folder.fixture.ts';
import { run } from '../../src/system/run.ts';
import { perform } from './command.ts';
import { empty } from '../folder.ts';
import { ours, packTree } from './ours.ts';
import { casync, squashfs, tarZstd } from './peers.ts';

const { signal } = new AbortController();
const FILES = { 'root/etc/hosts': '127.0.0.1 localhost\n', 'root/bin/run': '#!/bin/sh\n', 'root/empty/': '' };

for (const archiver of [ours, tarZstd, squashfs, casync]) {
  const { stdout } = await run('sh', ['-c', 'command -v "$0" || true', archiver.pack('', '')[0] ?? '']);
  const skip = stdout === '' && 'not installed: scripts/setup --bench';
  test(`${archiver.name} gives back the tree that it packed, with its attributes`, { skip }, async (t) => {
    const folder = await folderOf(t, FILES);
    const [root, home, unpacked] = [join(folder, 'root'), join(folder, 'home'), join(folder, 'unpacked')];
    await run('setfattr', ['-n', 'user.note', '-v', 'kept', join(root, 'etc/hosts')]);
    await empty(home);
    await empty(unpacked);
    await archiver.prepare?.(home);
    await perform(archiver.pack(root, home), { signal });
    await perform(archiver.unpack(home, unpacked), { signal });
    await run('diff', ['--recursive', root, unpacked]);
    const { stdout: note } = await run('getfattr', [
      '--only-values',
      '-n',
      'user.note',
      join(unpacked, 'etc/hosts'),
    ]);
    assert.equal(note, 'kept');
  });
}

test('what bladeroot says of packing is understood', async (t) => {
  const folder = await folderOf(t, FILES);
  const [root, state] = [join(folder, 'root'), join(folder, 'state')];
  await ours.prepare?.(state);
  const first = await packTree(root, state, { signal });
  const again = await packTree(root, state, { base: first.id, signal });
  assert.equal(first.filesRead, 2);
  assert.ok(first.storedBytes > 0 && first.newBytes > 0);
  assert.deepEqual([again.id, again.newBytes, again.filesRead], [first.id, 0, 0]);
});
