import assert from 'node:assert/strict';
import { chmod, mkdir, rm, symlink, unlink, writeFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountOnce } from '../slot/mounts.ts';
import { run } from '../system/run.ts';
import { makeBlade } from './updated-blade.fixture.ts';
import { verifyBlade, type VerifyOptions } from './verify-blade.ts';

test('what has drifted is found, by content where size and time say nothing, and what is meant to change is not', async (t) => {
  const { places, base } = await makeBlade(t);
  const directory = places.runningDirectory;
  await mountOnce(places.devices.a, directory);
  const options: VerifyOptions = {
    stateDirectory: places.stateDirectory,
    slot: 'a',
    directory,
    mountPoint: join(base, 'look'),
    ignore: [],
    signal: new AbortController().signal,
  };
  const drift = async (ignore: string[] = []): Promise<string[]> => {
    const { added, removed, changed } = (await verifyBlade({ ...options, ignore })).difference;
    return [
      ...added.map(({ path }) => `+ ${path}`),
      ...removed.map(({ path }) => `- ${path}`),
      ...changed.map(({ after, aspects }) => `${after.path}: ${aspects.join()}`),
    ];
  };
  assert.deepEqual(await drift(), [], 'as it was deployed, with its overlay, fstab and machine-id');

  const note = join(directory, 'usr/share/notes/5');
  const content = await readFile(note, 'utf8');
  await run('touch', ['--reference', note, join(base, 'time')]);
  await writeFile(
    note,
    content.replace(/^./, (first) => (first === '0' ? '1' : '0')),
  );
  await run('touch', ['--reference', join(base, 'time'), note]);
  await writeFile(join(directory, 'etc/motd'), 'release 2\n');
  await chmod(join(directory, 'etc/os-release'), 0o4644);
  await rm(join(directory, 'usr/share/notes/6'));
  await unlink(join(directory, 'usr/share/notes/7'));
  await symlink('5', join(directory, 'usr/share/notes/7'));
  await mkdir(join(directory, 'opt/app/cache'), { recursive: true });
  await mkdir(join(directory, 'var/log'), { recursive: true });
  await writeFile(join(directory, 'var/log/messages'), 'hello\n');
  await writeFile(join(directory, 'usr/cache'), 'hello\n');
  // What is mounted there is none of the slot's business.
  await run('mount', ['-t', 'tmpfs', 'tmpfs', join(directory, 'usr/share')]);
  await writeFile(join(directory, 'usr/share/elsewhere'), 'hello\n');

  const found = [
    '+ opt',
    '+ usr/cache',
    '- usr/share/notes/6',
    'etc/motd: content',
    'etc/os-release: mode',
    'usr/share/notes/5: content',
    'usr/share/notes/7: content',
  ];
  assert.deepEqual(await drift(), found);
  assert.deepEqual(await drift(['/opt/', '/usr/cache', '/usr/share/notes/']), [
    'etc/motd: content',
    'etc/os-release: mode',
  ]);
});
