import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { run } from '../system/run.ts';
import { installProgram, PROGRAM, PROGRAM_AGENT, PROGRAM_NODE } from './program.ts';

async function scratch(t: TestContext): Promise<{ tree: string; outside: string }> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-program-'));
  t.after(async () => await rm(base, { recursive: true, force: true }));
  const [tree, outside] = [join(base, 'tree'), join(base, 'outside')];
  await mkdir(tree);
  await mkdir(outside);
  await mkdir(join(tree, 'usr/lib/systemd'), { recursive: true });
  await writeFile(join(tree, 'usr/lib/systemd/systemd'), '');
  return { tree, outside };
}

test('the program is put into a tree, and runs from there', async (t) => {
  const { tree } = await scratch(t);
  assert.ok((await installProgram(tree)) > 5);
  assert.equal(await readlink(join(tree, 'usr/local/bin/bladeroot')), `/${PROGRAM}/bin/bladeroot`);
  const units = join(tree, 'usr/local/lib/systemd/system');
  for (const unit of ['bladeroot.service', 'bladeroot-root.service']) {
    const started = /^ExecStart=\/(\S+)/m.exec(await readFile(join(units, unit), 'utf8'))?.[1];
    assert.ok(started !== undefined && (await lstat(join(tree, started))).isFile(), unit);
  }
  await lstat(join(tree, PROGRAM_AGENT));

  const elsewhere = { cwd: '/', env: { NODE_PATH: '' } };
  const help = await run(join(tree, PROGRAM, 'bin/bladeroot'), ['--help'], elsewhere);
  assert.match(help.stdout, /promote/);
  const bundle = join(tree, PROGRAM, 'lib/bladeroot.mjs');
  assert.match((await run(join(tree, PROGRAM_NODE), [bundle, '--help'], elsewhere)).stdout, /standby/);
  // koffi and its binary are found beside the bundle.
  const script = `import(${JSON.stringify(join(tree, PROGRAM, 'lib/node_modules/koffi/index.js'))})`;
  await run(join(tree, PROGRAM_NODE), ['--eval', script], elsewhere);

  assert.equal(await installProgram(tree), 0, 'a second time, nothing is written');
});

test('what differs is brought up to date, and nothing else is touched', async (t) => {
  const { tree } = await scratch(t);
  await installProgram(tree);
  const agent = join(tree, PROGRAM_AGENT);
  const node = await lstat(join(tree, PROGRAM_NODE), { bigint: true });
  const text = await readFile(agent, 'utf8');
  await writeFile(agent, 'an older one');
  await run('chmod', ['600', join(tree, PROGRAM, 'bin/bladeroot')]);
  await rm(join(tree, 'usr/local/bin/bladeroot'));
  await symlink('/elsewhere', join(tree, 'usr/local/bin/bladeroot'));
  assert.equal(await installProgram(tree), 3);
  assert.equal(await readFile(agent, 'utf8'), text);
  assert.equal((await lstat(join(tree, PROGRAM_NODE), { bigint: true })).mtimeNs, node.mtimeNs);
});

test('in a tree with OpenRC, its services are init scripts, and the one that reports starts', async (t) => {
  const { tree } = await scratch(t);
  await rm(join(tree, 'usr/lib/systemd'), { recursive: true });
  await mkdir(join(tree, 'etc/runlevels/default'), { recursive: true });
  await installProgram(tree);
  for (const name of ['bladeroot', 'bladeroot-root']) {
    const script = join(tree, 'etc/init.d', name);
    assert.equal((await lstat(script)).mode & 0o777, 0o755);
    await run('sh', ['-n', script]);
    const command = /^command=\/(\S+)/m.exec(await readFile(script, 'utf8'))?.[1];
    assert.ok(command !== undefined && (await lstat(join(tree, command))).isFile(), name);
  }
  assert.deepEqual(await readdir(join(tree, 'etc/runlevels/default')), ['bladeroot']);
  assert.equal(await readlink(join(tree, 'etc/runlevels/default/bladeroot')), '/etc/init.d/bladeroot');
  assert.deepEqual(await readdir(join(tree, 'etc')), ['init.d', 'runlevels'], 'no units');
  assert.equal(await installProgram(tree), 0, 'a second time, nothing is written');
});

test('links of the tree are followed within it, and never lead out of it', async (t) => {
  const { tree, outside } = await scratch(t);
  await mkdir(join(tree, 'usr/other/local'), { recursive: true });
  await mkdir(join(tree, 'srv'));
  // As the tree means it: /usr/other/local. As this machine would read it: a directory of the machine.
  await symlink('/usr/other/local', join(tree, 'usr/local'));
  await symlink('../../../../../../../../srv', join(tree, 'etc'));
  await installProgram(tree);
  assert.ok((await lstat(join(tree, 'usr/other/local/bin/bladeroot'))).isSymbolicLink());
  assert.ok((await readdir(join(tree, 'srv'))).includes('systemd'));

  // A directory of this machine, but not of the tree.
  await rm(join(tree, 'opt'), { recursive: true });
  await symlink(outside, join(tree, 'opt'));
  await assert.rejects(installProgram(tree), { code: 'TREE_LINK' });
  assert.deepEqual(await readdir(outside), []);
});
