import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startPiped } from '../system/run.ts';
import { Store } from './store.ts';
import { lockStore } from './store-lock.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-lock-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}

test('many share the lock; who wants it alone waits for the last of them, and says so once', async (t) => {
  const store = await Store.open(await scratch(t));
  const unlocks = [await store.lock('shared'), await store.lock('shared')];
  let waits = 0;
  let isAlone = false;
  const alone = store
    .lock('exclusive', { onWait: () => waits++ })
    .then((unlock) => ((isAlone = true), unlock));
  await unlocks[0]?.();
  const further = await store.lock('shared');
  await further();
  assert.equal(isAlone, false);
  await unlocks[1]?.();
  const unlock = await alone;
  assert.equal(waits, 1);

  const waiting = Promise.withResolvers<void>();
  const shared = store.lock('shared', { onWait: waiting.resolve });
  await waiting.promise;
  await unlock();
  await (
    await shared
  )();
});

test('waiting can be aborted, and leaves no lock behind', async (t) => {
  const store = await Store.open(await scratch(t));
  const unlock = await store.lock('shared');
  const abort = new AbortController();
  const waiting = store.lock('exclusive', { signal: abort.signal, onWait: () => abort.abort() });
  await assert.rejects(waiting, { name: 'AbortError' });
  await unlock();
  await (
    await store.lock('exclusive')
  )();
});

test('the lock of a process that was killed is gone with it', async (t) => {
  const directory = await scratch(t);
  const program = `
    import { lockStore } from ${JSON.stringify(new URL('store-lock.ts', import.meta.url).pathname)};
    globalThis.unlock = await lockStore(${JSON.stringify(directory)}, 'exclusive');
    console.log('locked');
    setInterval(() => undefined, 1000);`;
  const other = startPiped(process.execPath, ['--input-type=module', '--eval', program]);
  await once(other.stdout, 'data');
  let waited = false;
  const unlock = await lockStore(directory, 'shared', {
    onWait: () => {
      waited = true;
      other.kill('SIGKILL');
    },
  });
  assert.ok(waited);
  await unlock();
  await assert.rejects(other.done);
});

test('a store that is only read makes nothing; one that is not there is an error that says what makes it', async (t) => {
  const directory = await scratch(t);
  await assert.rejects(Store.openExisting(directory), { code: 'NO_STORE', hint: /bladeroot init/ });
  const made = await Store.open(directory);
  await made.putTag('web', 'ab'.repeat(32));
  await rm(join(directory, 'packs'), { recursive: true });
  const store = await Store.openExisting(directory);
  assert.equal(existsSync(join(directory, 'packs')), false);
  assert.deepEqual([...(await store.readTags())], [['web', 'ab'.repeat(32)]]);
  await assert.rejects(store.putTag('../web', 'ab'.repeat(32)), { code: 'BAD_TAG' });
  await store.removeTag('web');
  assert.equal((await store.readTags()).size, 0);
});
