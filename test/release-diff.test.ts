/** What changed from one release to another, on the command line. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writePublicKey } from '../src/release/keys.ts';
import { PROGRAM_AGENT } from '../src/tree/program.ts';
import { sampleRelease } from '../src/release/release.fixture.ts';
import { place } from './bladeroot.fixture.ts';
import { key, publicKey, publishScene } from './publish-scene.fixture.ts';
import { dpkgStatus } from './publish.fixture.ts';

test('release diff tells packages, files and the configuration of each blade; list and show know latest and previous', async (t) => {
  const { state, tree, fleet, publish, pack } = await publishScene(t);
  await writePublicKey(state, publicKey);
  await publish();
  const versions = { nginx: '1.26.2-1', libc6: '2.41-5', jq: '1.7' };
  await writeFile(join(tree, 'var/lib/dpkg/status'), dpkgStatus(versions));
  await writeFile(join(tree, 'etc/added'), 'new');
  await writeFile(join(fleet, 'overlays/web/etc/motd'), 'another\n');
  await writeFile(join(fleet, 'overlays/web/etc/issue'), 'new\n');
  await pack();
  await publish({});
  const text = await readFile(join(fleet, 'fleet.yaml'), 'utf8');
  await writeFile(
    join(fleet, 'fleet.yaml'),
    text.replace('mail: {', 'mail: { kernelArgs: [quiet],').replace('start: [postfix]', 'stop: [nginx]'),
  );
  const { bladeroot } = await place(t);
  const run = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await bladeroot([
      'release',
      ...args,
      '--state',
      state,
      '--fleet',
      fleet,
    ]);
    assert.equal(status, 0, stderr);
    return stdout.trimEnd();
  };
  const keyFile = join(state, 'keys/fleet.key');
  await writeFile(keyFile, key.export({ type: 'pkcs8', format: 'pem' }));
  assert.match(await run('publish', '--key', keyFile), /^release 3: /);

  const lines = (await run('diff', '1', '2', '--files')).split('\n');
  const packages = lines.slice(lines.indexOf('packages:') + 1, lines.indexOf('image:'));
  assert.deepEqual(packages, [
    '  added    jq 1.7',
    '  removed  mawk 1.3.4-2',
    '  changed  nginx 1.26.0-1 → 1.26.2-1',
  ]);
  assert.ok(lines.includes('  added     /etc/added (3 B)'), lines.join('\n'));
  assert.deepEqual(lines.slice(lines.indexOf('fleet folder:')), [
    'fleet folder:',
    '  added    overlays/web/etc/issue',
    '  changed  overlays/web/etc/motd',
    'blade web01:',
    '  overlay: added    etc/issue',
    '  overlay: changed  etc/motd',
  ]);
  assert.ok(!(await run('diff', '1', '2')).includes('/etc/added'), 'without --files there is a summary');

  const last = (await run('diff')).split('\n');
  assert.deepEqual(last.slice(0, 6), [
    'fleet folder:',
    '  changed  fleet.yaml',
    'blade mail01:',
    '  kernelArgs: +quiet',
    '  services.start: -postfix',
    '  services.stop: +nginx',
  ]);
  const json = JSON.parse(await run('diff', 'previous', 'latest', '--json'));
  assert.deepEqual([json.from, json.to, json.image], [2, 3, undefined]);
  assert.deepEqual(json.blades[0].fields[0], { field: 'kernelArgs', from: [], to: ['quiet'] });
  assert.equal(await run('diff', '3', '3'), 'releases 3 and 3 say the same');

  assert.match(await run('show', 'previous'), /^release {3}2 of lab/);
  const missing = await bladeroot(['release', 'show', '0', '--state', state]);
  assert.deepEqual([missing.status, missing.stderr.includes('there is no release 0')], [1, true]);
});

test('publishing builds the initrd only where what it is made of has changed', async (t) => {
  const { tree, fleet, steps, publish, pack, state, store, releases } = await publishScene(t);
  const built = (): boolean => steps.splice(0).includes('building the initrd');
  await publish();
  assert.equal(built(), true);
  assert.equal((await publish()).isNew, false);
  assert.equal(built(), false);
  await writeFile(join(fleet, 'overlays/web/etc/motd'), 'another\n');
  assert.equal((await publish()).isNew, true);
  assert.equal(built(), false);
  await writeFile(join(tree, 'etc/more'), 'more');
  await pack();
  await publish();
  assert.equal(built(), true);
  await rm(join(state, 'initrd.json'));
  assert.equal((await publish()).isNew, false, 'built again, it is the same');
  assert.equal(built(), true);
  const { statement } = (await releases.current()) ?? assert.fail('no release');
  const path = store.blobPath(statement.initrd.digest);
  await truncate(path, 3);
  await publish();
  assert.equal((await stat(path)).size, statement.initrd.bytes, 'one that is damaged is built again');
});

test('of an initrd that is built anew, only what has changed in it is compressed', async (t) => {
  const { tree, store, initrds, publish, pack } = await publishScene(t);
  const { release } = await publish();
  const whole = initrds.splice(0).at(-1)?.totalBytes ?? 0;
  const again = async (content: string): Promise<number> => {
    await writeFile(join(tree, PROGRAM_AGENT), content);
    await pack();
    await publish();
    return initrds.splice(0).at(-1)?.totalBytes ?? 0;
  };
  const agent = await again('another agent');
  assert.ok(agent > 0 && agent < whole / 2, `${agent} of ${whole} bytes`);
  const damaged = (await publish()).release.statement.initrd.digest;
  assert.notEqual(damaged, release.statement.initrd.digest);
  await writeFile(store.blobPath(damaged), 'damaged');
  assert.ok((await again('a third agent')) > whole / 2, 'nothing is taken from a damaged one');
});

test('initrd show tells what makes up the initrd of a release, or one in a file', async (t) => {
  const { state, store, publish } = await publishScene(t);
  await writePublicKey(state, publicKey);
  const { digest, bytes } = (await publish()).release.statement.initrd;
  const { bladeroot } = await place(t);
  const json = await bladeroot(['initrd', 'show', '--json', '--state', state]);
  assert.equal(json.status, 0, json.stderr);
  const shown = JSON.parse(json.stdout);
  assert.deepEqual([shown.release, shown.bytes], [1, bytes]);
  assert.deepEqual(
    shown.groups.map(({ group }: { group: string }) => group),
    ['tools', 'modules', 'agent', 'node'],
  );
  const sum = shown.groups.reduce(
    (all: number, group: { compressedBytes: number }) => all + group.compressedBytes,
    0,
  );
  assert.equal(sum, bytes);

  const text = await bladeroot(['initrd', 'show', store.blobPath(digest)]);
  assert.match(text.stdout, /^PART +FILES +UNPACKED +COMPRESSED +SHARE\n(.*\n)*Node +1 /);
  assert.match(text.stdout, /\nall of it +\d+ .* 100 %\n$/);
  const missing = await bladeroot(['initrd', 'show', '/nowhere/initrd']);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /^bladeroot: \/nowhere\/initrd cannot be read: .*; name a release/);
});

test('a number means one release: what another has published meanwhile stays', async (t) => {
  const { releases } = await publishScene(t);
  await releases.add(sampleRelease(key, { message: 'first' }));
  await assert.rejects(releases.add(sampleRelease(key, { message: 'second' })), {
    code: 'RELEASE_TAKEN',
    message: /release 1 meanwhile/,
  });
  assert.equal((await releases.read(1)).statement.message, 'first');
  assert.deepEqual(await readdir(releases.directory), ['1.json']);
});
