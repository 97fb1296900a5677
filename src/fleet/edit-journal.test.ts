import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { run } from '../system/run.ts';
import { changeSeveralFiles } from './edit-folder.fixture.ts';
import { proposeEdit, writeProposal } from './edit-folder.ts';
import { JOURNAL } from './edit-journal.ts';
import type { FleetTexts } from './fleet-source.ts';
import { folderOf } from './folder.fixture.ts';
import { readFleetFiles } from './load.ts';

const FILES = {
  'fleet.yaml': 'name: lab\nnetwork: { subnet: 10.77.0.0/24 }\n',
  'profiles/web.yaml': '# the shop\n',
  'blades/web01.yaml': 'mac: "52:54:00:77:00:11"\naddress: 10.77.0.11\nprofile: web\n',
};
const FIXTURE = new URL('edit-folder.fixture.ts', import.meta.url).href;

async function textsOf(folder: string): Promise<FleetTexts> {
  return (await readFleetFiles(folder)).texts;
}

async function giveRack(folder: string, rack: number): Promise<void> {
  const path = ['blades', 'web01', 'vars', 'rack'];
  await writeProposal(folder, await proposeEdit(folder, () => [{ path, value: rack }]));
}

/** What gives a file its name, and what removes one. */
const CALLS = { name: '?rename,?renameat,?renameat2', remove: '?unlink,?unlinkat' };

/** Changes a folder in another process, which is killed when it is about to do that for the Nth time. */
async function changeAndKill(
  folder: string,
  about: keyof typeof CALLS,
  at: number,
): Promise<{ killed: boolean }> {
  const calls = CALLS[about];
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`];
  const script = `const { ${changeSeveralFiles.name} } = await import(${JSON.stringify(FIXTURE)});
    await ${changeSeveralFiles.name}(${JSON.stringify(folder)});`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  try {
    await run('strace', [...strace, '-e', `inject=${calls}:signal=KILL:when=${at}`, ...node], {
      // strace counts the calls of each thread by itself.
      env: { UV_THREADPOOL_SIZE: '1' },
    });
    return { killed: false };
  } catch (error) {
    assert.match(String(error), /SIGKILL|137/);
    return { killed: true };
  }
}

test('who is killed at any moment of an edit of several files leaves all of it or nothing', async (t) => {
  const before = new Map(Object.entries(FILES));
  const done = await folderOf(t, FILES);
  await changeSeveralFiles(done);
  const after = await textsOf(done);
  assert.deepEqual([...after.keys()].toSorted(), ['blades/web01.yaml', 'fleet.yaml', 'profiles/db.yaml']);
  for (const [about, expected] of [
    ['name', ['nothing', 'to be completed', 'to be completed', 'done']],
    ['remove', ['to be completed', 'to be completed', 'done']],
  ] as const) {
    const seen: string[] = [];
    for (let killed = true; killed;) {
      const folder = await folderOf(t, FILES);
      ({ killed } = await changeAndKill(folder, about, seen.length + 1));
      const texts = await textsOf(folder);
      const isDone = isDeepStrictEqual(texts, after);
      assert.ok(isDone || isDeepStrictEqual(texts, before), `half an edit: ${JSON.stringify([...texts])}`);
      const isCutOff = (await readdir(folder)).includes(JOURNAL);
      seen.push(isDone ? (isCutOff ? 'to be completed' : 'done') : 'nothing');

      await giveRack(folder, 3);
      const expectedTexts = new Map(texts);
      expectedTexts.set('blades/web01.yaml', `${texts.get('blades/web01.yaml')}vars:\n  rack: 3\n`);
      await assertFiles(folder, expectedTexts);
    }
    assert.deepEqual(seen, expected);
  }
});

/** Who edits next completes what was cut off. */
async function assertFiles(folder: string, texts: FleetTexts): Promise<void> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  // What was being written when the process was killed lies beside it, and nobody reads it.
  const kept = paths.filter((path) => !path.endsWith('.tmp')).toSorted();
  assert.deepEqual(kept, [...texts.keys()].toSorted());
  for (const [path, text] of texts) assert.equal(await readFile(join(folder, path), 'utf8'), text);
}

async function cutOff(t: TestContext): Promise<string> {
  const folder = await folderOf(t, FILES);
  await changeAndKill(folder, 'name', 2);
  return folder;
}

test('what somebody has written by hand after an edit was cut off is not written over', async (t) => {
  const folder = await cutOff(t);
  const mine = `${FILES['blades/web01.yaml']}# mine\n`;
  await writeFile(join(folder, 'blades/web01.yaml'), mine);
  const refused = {
    code: 'EDIT_CUT_OFF',
    message: 'blades/web01.yaml has been changed since an edit of it and others was cut off',
  };
  await assert.rejects(textsOf(folder), refused);
  await assert.rejects(giveRack(folder, 3), refused);
  await rm(join(folder, JOURNAL));
  assert.equal((await textsOf(folder)).get('blades/web01.yaml'), mine);
});

test('a journal that cannot be read is said, with what to do', async (t) => {
  const folder = await folderOf(t, { ...FILES, [JOURNAL]: '{' });
  await assert.rejects(textsOf(folder), { code: 'EDIT_CUT_OFF', hint: /git diff.*remove/ });
});
