import assert from 'node:assert/strict';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { encodeOverlay } from '../overlay/archive.ts';
import { fileEntry } from '../overlay/entry.ts';
import { run } from '../system/run.ts';
import { memoryMounts } from '../disks/fstab.ts';
import { configure } from './configure.ts';

async function scratch(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-configure-'));
  t.after(async () => await rm(base, { recursive: true, force: true }));
  return base;
}

/** A root filesystem with nothing in it but this machine's ssh-keygen and what that needs. */
async function makeTree(directory: string): Promise<void> {
  for (const path of ['etc/ssh', 'dev', 'root']) await mkdir(join(directory, path), { recursive: true });
  const { stdout } = await run('ldd', ['/usr/bin/ssh-keygen']);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
  for (const path of ['/usr/bin/ssh-keygen', ...libraries]) {
    await mkdir(join(directory, dirname(path)), { recursive: true });
    await cp(path, join(directory, path), { dereference: true });
  }
  await writeFile(join(directory, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(directory, 'etc/machine-id'), '');
}

const noSecrets = { secrets: undefined, identity: { secret: '' } };

const mounts = [
  ['PARTUUID=b-b', '/', 'ext4', 'errors=remount-ro', '0 1'],
  ['PARTUUID=e-5', '/boot/efi', 'vfat', 'umask=0077', '0 2'],
  ['PARTUUID=d-a', '/srv/data', 'xfs', 'noatime', '0 0'],
] as const;

const overlay = encodeOverlay([fileEntry('etc/motd', 'this is web01\n', 'test')]);

async function contentOf(directory: string, names: string[]): Promise<Record<string, string>> {
  const read = async (name: string): Promise<[string, string]> => [
    name,
    await readFile(join(directory, name), 'utf8'),
  ];
  return Object.fromEntries(await Promise.all(names.map(read)));
}

async function modeOf(path: string): Promise<string> {
  return ((await lstat(path)).mode & 0o7777).toString(8);
}

test("the fstab has the blade's own mounts first, keeps all others, and is the same when done again", async (t) => {
  const base = await scratch(t);
  const directory = join(base, 'slot');
  await mkdir(join(directory, 'etc'), { recursive: true });
  await writeFile(
    join(directory, 'etc/fstab'),
    `# / is what the installer made
UUID=1234 / xfs defaults 0 1
UUID=5678 /boot/efi vfat umask=0022 0 1
UUID=9abc none swap sw 0 0
nfs:/home /home nfs defaults 0 0
`,
  );
  const mac = '52:54:00:77:00:11';
  const request = {
    ...noSecrets,
    mac,
    directory,
    mounts,
    overlay,
    identityDirectory: join(base, 'identity'),
  } as const;
  await configure(request);
  const fstab = await readFile(join(directory, 'etc/fstab'), 'utf8');
  assert.equal(
    fstab,
    `PARTUUID=b-b / ext4 errors=remount-ro 0 1
PARTUUID=e-5 /boot/efi vfat umask=0077 0 2
PARTUUID=d-a /srv/data xfs noatime 0 0
# / is what the installer made
UUID=9abc none swap sw 0 0
nfs:/home /home nfs defaults 0 0
`,
  );
  for (const place of ['boot/efi', 'srv/data']) {
    assert.ok((await lstat(join(directory, place))).isDirectory());
  }
  await configure(request);
  assert.equal(await readFile(join(directory, 'etc/fstab'), 'utf8'), fstab);
  assert.equal(await readFile(join(directory, 'etc/motd'), 'utf8'), 'this is web01\n');
});

test('a tree without fstab and ssh gets just the mounts and a machine-id', async (t) => {
  const base = await scratch(t);
  const directory = join(base, 'slot');
  await mkdir(join(directory, 'etc'), { recursive: true });
  await configure({
    ...noSecrets,
    mac: '52:54:00:77:00:11',
    directory,
    mounts,
    overlay,
    identityDirectory: join(base, 'identity'),
  });
  assert.equal((await readFile(join(directory, 'etc/fstab'), 'utf8')).split('\n').length, 4);
  assert.match(await readFile(join(directory, 'etc/machine-id'), 'utf8'), /^[0-9a-f]{32}\n$/);
  assert.deepEqual(await readdir(join(base, 'identity')), ['machine-id']);
});

test('in memory, only the persistent partition is mounted, where there is one', async (t) => {
  const base = await scratch(t);
  const fstabOf = async (name: string, hasPersist: boolean): Promise<string> => {
    const directory = join(base, name);
    await mkdir(join(directory, 'etc'), { recursive: true });
    await configure({
      ...noSecrets,
      mac: '52:54:00:77:00:11',
      directory,
      mounts: memoryMounts(hasPersist ? { name: 'bladeroot-persist', uuid: '' } : undefined),
      overlay,
      identityDirectory: join(directory, 'var/lib/bladeroot/identity'),
    });
    return await readFile(join(directory, 'etc/fstab'), 'utf8');
  };
  assert.equal((await fstabOf('without', false)).trim(), '');
  assert.equal(
    await fstabOf('with', true),
    `PARTLABEL=bladeroot-persist /persist ext4 defaults 0 2
/persist/bladeroot /var/lib/bladeroot none bind 0 0
`,
  );
});

test('what a blade is known by is made at its first deployment, and is the same at every later one', async (t) => {
  const base = await scratch(t);
  const identityDirectory = join(base, 'persist/identity');
  await mkdir(dirname(identityDirectory));
  // A deployment that was cut off while it made the keys.
  await mkdir(join(identityDirectory, 'ssh.new'), { recursive: true, mode: 0o700 });
  await writeFile(join(identityDirectory, 'ssh.new/ssh_host_rsa_key'), 'half a k');

  const slots = ['a', 'b'] as const;
  for (const slot of slots) {
    const directory = join(base, slot);
    await makeTree(directory);
    await configure({
      ...noSecrets,
      mac: '52:54:00:77:00:11',
      directory,
      mounts,
      overlay,
      identityDirectory,
    });
    assert.deepEqual(await readdir(join(directory, 'dev')), [], 'nothing stays mounted');
  }
  const keys = (await readdir(join(base, 'a/etc/ssh'))).sort();
  assert.ok(keys.includes('ssh_host_ed25519_key') && keys.includes('ssh_host_rsa_key.pub'), keys.join());
  const [first, second] = slots.map((slot) => join(base, slot, 'etc'));
  assert.ok(first !== undefined && second !== undefined);
  const names = ['machine-id', ...keys.map((name) => `ssh/${name}`)];
  assert.deepEqual(await contentOf(second, names), await contentOf(first, names));
  assert.deepEqual(await contentOf(identityDirectory, names), await contentOf(first, names));

  assert.equal(await modeOf(identityDirectory), '700');
  assert.equal(await modeOf(join(identityDirectory, 'ssh')), '700');
  for (const name of keys) {
    const mode = name.endsWith('.pub') ? '644' : '600';
    for (const directory of [join(first, 'ssh'), join(second, 'ssh'), join(identityDirectory, 'ssh')]) {
      assert.equal(await modeOf(join(directory, name)), mode, join(directory, name));
    }
  }
  assert.deepEqual((await readdir(identityDirectory)).sort(), ['machine-id', 'ssh']);
});

test('two blades are known by different things', async (t) => {
  const base = await scratch(t);
  const ids: string[] = [];
  for (const blade of ['one', 'two']) {
    const directory = join(base, blade);
    await mkdir(join(directory, 'etc'), { recursive: true });
    await configure({
      ...noSecrets,
      mac: '52:54:00:77:00:11',
      directory,
      mounts,
      overlay,
      identityDirectory: join(base, `${blade}-identity`),
    });
    ids.push(await readFile(join(directory, 'etc/machine-id'), 'utf8'));
  }
  assert.notEqual(ids[0], ids[1]);
});
