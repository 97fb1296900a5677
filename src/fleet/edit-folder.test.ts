import assert from 'node:assert/strict';
import { chmod, chown, readFile, readdir, realpath, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../system/run.ts';
import { changeAgainAndAgain } from './edit-folder.fixture.ts';
import { proposeEdit, writeProposal } from './edit-folder.ts';
import { loadFleet, readFleetFiles } from './load.ts';
import { folderOf } from './folder.fixture.ts';

const HEAD = '# the lab\nname: lab # short\nnetwork: { subnet: 10.77.0.0/24 }\n';
const WEB01 = 'mac: "52:54:00:77:00:11" # by the door\naddress: 10.77.0.11\n';
const WHOLE = `${HEAD}profiles: {}\nblades:\n  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11 } # by the door\n`;
const SPLIT = { 'fleet.yaml': HEAD, 'profiles/web.yaml': '# the shop\n', 'blades/rack1/web01.yaml': WEB01 };

const FIXTURE = new URL('edit-folder.fixture.ts', import.meta.url).href;

for (const [layout, files] of Object.entries({
  'one file': { 'fleet.yaml': WHOLE },
  'several files': SPLIT,
})) {
  test(`of two processes that change one folder of ${layout} at once none loses a change, and it loads at any moment`, async (t) => {
    const folder = await folderOf(t, files);
    const rounds = 30;
    const editor = async (name: string): Promise<unknown> =>
      await run(process.execPath, [
        '--input-type=module',
        '--eval',
        `const { ${changeAgainAndAgain.name} } = await import(${JSON.stringify(FIXTURE)});
         await ${changeAgainAndAgain.name}(${JSON.stringify(folder)}, '${name}', ${rounds});`,
      ]);
    const state = { running: true };
    const editors = Promise.all(['a', 'b'].map(editor)).finally(() => (state.running = false));
    let loads = 0;
    for (; state.running; loads++) await loadFleet(folder);
    await editors;
    assert.ok(loads > 0);
    const { blades, profiles } = await loadFleet(folder);
    const names = ['a', 'b'].flatMap((name) =>
      Array.from({ length: rounds }, (_, round) => `${name}${round}`),
    );
    assert.deepEqual(Object.keys(blades['web01']?.vars ?? {}).toSorted(), names.toSorted());
    assert.deepEqual(
      Object.keys(profiles)
        .filter((name) => name !== 'web')
        .toSorted(),
      names.toSorted(),
    );
    const left = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.tmp'));
    assert.deepEqual(left, []);
    const { texts } = await readFleetFiles(folder);
    assert.ok(
      [...texts.values()].some((text) => text.includes('# by the door')),
      'comments stay',
    );
  });
}

test('an edit with which the fleet would have faults changes nothing', async (t) => {
  for (const files of [{ 'fleet.yaml': WHOLE }, SPLIT]) {
    const folder = await folderOf(t, files);
    const before = await readFleetFiles(folder);
    for (const [path, value] of [
      ['blades.web01.address', '10.99.0.1'],
      ['blades.web01.mac', undefined],
      ['blades.web01.profile', 'none'],
      ['blades.Web_2', { mac: '52:54:00:77:00:12', address: '10.77.0.12' }],
      ['blades.web02', { mac: '52:54:00:77:00:11', address: '10.77.0.12' }],
      ['profiles.a/b', {}],
      ['blades.web01.adress', 'x'],
    ] as const) {
      await assert.rejects(
        proposeEdit(folder, () => [{ path: path.split('.'), value }]),
        { code: 'BAD_EDIT', hint: 'the fleet folder is as it was' },
        path,
      );
    }
    assert.deepEqual(await readFleetFiles(folder), before);
  }
});

async function edited(folder: string, path: string, value?: unknown): Promise<string[]> {
  const proposal = await proposeEdit(folder, () => [{ path: path.split('.'), value }]);
  await writeProposal(folder, proposal);
  return [...proposal.edited.keys()];
}

test('each thing is changed where it stands, and a new one goes to where the others stand', async (t) => {
  const folder = await folderOf(t, SPLIT);
  const blade = { mac: '52:54:00:77:00:12', address: '10.77.0.12' };
  assert.deepEqual(await edited(folder, 'blades.web01.profile', 'web'), ['blades/rack1/web01.yaml']);
  assert.equal(await readFile(join(folder, 'blades/rack1/web01.yaml'), 'utf8'), `${WEB01}profile: web\n`);
  assert.deepEqual(await edited(folder, 'blades.web02', blade), ['blades/web02.yaml']);
  assert.deepEqual(await edited(folder, 'profiles.db', {}), ['profiles/db.yaml']);
  assert.deepEqual(await edited(folder, 'profiles.web.vars.port', 80), ['profiles/web.yaml']);
  assert.equal(await readFile(join(folder, 'profiles/web.yaml'), 'utf8'), '# the shop\nvars:\n  port: 80\n');
  assert.deepEqual(await edited(folder, 'profiles.web.vars.port'), ['profiles/web.yaml']);
  assert.equal(await readFile(join(folder, 'profiles/web.yaml'), 'utf8'), '# the shop\n');
  assert.deepEqual(await edited(folder, 'blades.web02'), ['blades/web02.yaml']);
  assert.deepEqual(Object.keys((await loadFleet(folder)).blades), ['web01']);
  assert.equal(await readFile(join(folder, 'fleet.yaml'), 'utf8'), HEAD);
});

test('a file keeps its mode and owner, and stays a link where it is one; a new one is like fleet.yaml', async (t) => {
  const git = await folderOf(t, { 'real.yaml': WHOLE });
  const folder = await folderOf(t, { 'profiles/web.yaml': '' });
  await symlink(join(git, 'real.yaml'), join(folder, 'fleet.yaml'));
  await chmod(join(git, 'real.yaml'), 0o640);
  await chown(join(git, 'real.yaml'), 12, 34);
  await edited(folder, 'blades.web01.vars.rack', 3).catch(assert.fail);
  assert.equal(await realpath(join(folder, 'fleet.yaml')), await realpath(join(git, 'real.yaml')));
  const { mode, uid, gid } = await stat(join(git, 'real.yaml'));
  assert.deepEqual([mode & 0o7777, uid, gid], [0o640, 12, 34]);
  await edited(folder, 'profiles.db', { vars: { a: 1 } });
  const made = await stat(join(folder, 'profiles/db.yaml'));
  assert.deepEqual([made.mode & 0o7777, made.uid, made.gid], [0o640, 12, 34]);
});
