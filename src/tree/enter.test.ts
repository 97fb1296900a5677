import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, startPiped, type PipedChild } from '../system/run.ts';
import { enterTree } from './enter.ts';

/** A root filesystem of busybox and nothing else. */
async function makeTree(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-enter-'));
  t.after(async () => {
    // rm would follow what is still mounted into this machine's /dev.
    assert.deepEqual(await mountsBelow(base), []);
    await rm(base, { recursive: true, force: true });
  });
  const tree = join(base, 'tree');
  for (const path of [
    'bin',
    'usr/bin',
    'proc',
    'sys',
    'dev',
    'run',
    'tmp',
    'root',
    'etc',
    'usr/sbin',
    'sbin',
  ]) {
    await mkdir(join(tree, path), { recursive: true });
  }
  await run('cp', ['/bin/busybox', join(tree, 'bin/busybox')]);
  await run('chroot', [tree, '/bin/busybox', '--install', '-s']);
  return tree;
}

async function mountsBelow(path: string): Promise<string[]> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  return mounts.split('\n').filter((line) => line.includes(path));
}

/** In the tree, as a shell sees it. */
async function sh(tree: string, script: string): Promise<number> {
  return await enterTree(tree, ['sh', '-c', script]);
}

/** Another process that has entered the tree, and has said that it is there. */
async function enterElsewhere(tree: string, script: string): Promise<PipedChild> {
  const enter = new URL('enter.ts', import.meta.url).href;
  const command = JSON.stringify(['sh', '-c', `echo here; ${script}`]);
  const program = `import { enterTree } from ${JSON.stringify(enter)};
    process.exitCode = await enterTree(${JSON.stringify(tree)}, ${command});`;
  const child = startPiped(process.execPath, ['--input-type=module', '--eval', program]);
  await Promise.race([once(child.stdout, 'data'), child.done]);
  return child;
}

/** Waits until no process of this machine has its root in the tree. */
async function untilLeft(tree: string): Promise<void> {
  const deadline = performance.now() + 5000;
  for (;;) {
    const { stdout } = await run('find', ['/proc', '-maxdepth', '2', '-name', 'root', '-lname', tree]).catch(
      // Processes that end while they are looked at.
      () => ({ stdout: '' }),
    );
    if (stdout === '') return;
    assert.ok(performance.now() < deadline, `still in the tree: ${stdout}`);
    await sleep(20);
  }
}

test("a command's exit status is passed on", async (t) => {
  const tree = await makeTree(t);
  assert.equal(await sh(tree, 'exit 0'), 0);
  assert.equal(await sh(tree, 'exit 42'), 42);
  assert.equal(await enterTree(tree, ['no-such-command']), 127);
});

test('a command finds what a system has: its own root, /proc, /sys, devices, a terminal, an empty /run', async (t) => {
  const tree = await makeTree(t);
  const script = `set -e
    test -d /proc/self && test -d /sys/class && test -c /dev/null && test -c /dev/ptmx
    head -c 4 /dev/urandom > /dev/null
    echo x > /dev/shm/x
    test ! -e /dev/vda && test ! -e /run/systemd
    test "$HOME" = /root && test -z "$BLADEROOT_SECRET"
    test $(ls -d /proc/[0-9]* | wc -l) -lt 8
    echo kept > /etc/kept; echo gone > /run/gone`;
  process.env['BLADEROOT_SECRET'] = 'x';
  t.after(() => delete process.env['BLADEROOT_SECRET']);
  assert.equal(await sh(tree, script), 0);
  assert.equal(await readFile(join(tree, 'etc/kept'), 'utf8'), 'kept\n');
  for (const empty of ['run', 'dev', 'proc', 'sys']) assert.deepEqual(await readdir(join(tree, empty)), []);
});

test("the machine's resolver can be read, and the tree keeps its own", async (t) => {
  const tree = await makeTree(t);
  const resolver = await readFile('/etc/resolv.conf', 'utf8');
  const path = join(tree, 'etc/resolv.conf');
  const read = 'cat /etc/resolv.conf > /tmp/seen';
  await writeFile(path, 'the tree\n');
  assert.equal(await sh(tree, read), 0);
  assert.equal(await readFile(join(tree, 'tmp/seen'), 'utf8'), resolver);
  assert.equal(await readFile(path, 'utf8'), 'the tree\n');

  // As systemd-resolved and others have it; not there as long as nothing runs.
  for (const target of ['../run/systemd/resolve/stub-resolv.conf', '/run/resolvconf/resolv.conf']) {
    await rm(path);
    await symlink(target, path);
    assert.equal(await sh(tree, read), 0, target);
    assert.equal(await readFile(join(tree, 'tmp/seen'), 'utf8'), resolver, target);
    assert.ok((await lstat(path)).isSymbolicLink());
  }
});

test('nothing stays mounted and nothing goes on running, whatever is done inside', async (t) => {
  const tree = await makeTree(t);
  const script = `mount -t tmpfs tmpfs /tmp; mount -t proc proc /root; mkdir /tmp/a; mount --bind / /tmp/a
    setsid sleep 1000 & (trap '' HUP TERM INT; sleep 1000) & exit 3`;
  assert.equal(await sh(tree, script), 3);
  await untilLeft(tree);
  assert.deepEqual(await mountsBelow(tree), []);
});

test('a process that enters a tree takes all with it when it is killed, and the tree is free', async (t) => {
  const tree = await makeTree(t);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const child = await enterElsewhere(tree, "trap '' TERM INT HUP; sleep 1000");
    await assert.rejects(enterTree(tree, ['true']), { code: 'TREE_BUSY' });
    child.kill(signal);
    await assert.rejects(child.done);
    await untilLeft(tree);
    assert.deepEqual(await mountsBelow(tree), []);
  }
});

test('Ctrl-C reaches the command', async (t) => {
  const tree = await makeTree(t);
  // script(1) gives a terminal, on which Ctrl-C is a byte.
  const enter = new URL('enter.ts', import.meta.url).href;
  const program = join(tree, '../program.mjs');
  await writeFile(
    program,
    `import { enterTree } from ${JSON.stringify(enter)};
     process.on('SIGINT', () => undefined);
     console.log('status ' + await enterTree(${JSON.stringify(tree)}, ['sh', '-c', 'echo here; exec sleep 1000']));`,
  );
  const child = startPiped('script', ['-qfc', `${process.execPath} ${program}`, '/dev/null']);
  let said = '';
  for await (const chunk of child.stdout) {
    const before = said.includes('here');
    said += String(chunk);
    if (!before && said.includes('here')) child.stdin.write('\u0003');
  }
  await child.done;
  assert.match(said, /status 130/);
});
