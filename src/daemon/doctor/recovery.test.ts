import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../fleet/folder.fixture.ts';
import { newIdentity, RECOVERY_IDENTITY, writeIdentity } from '../../secrets/identity-file.ts';
import { checkRecovery } from './recovery.ts';

test('the recovery identity is a warning for as long as it lies on the root, and is not told', async (t) => {
  const state = await folderOf(t, {});
  const path = join(state, RECOVERY_IDENTITY);
  const identity = await newIdentity();
  await writeIdentity(path, identity);
  const found = await checkRecovery(state);
  assert.equal(found.level, 'warning');
  assert.match(found.message, /can read every secret of the fleet with .*keys\/recovery\.key/);
  assert.match(found.hint ?? '', /move it/);
  assert.ok(!JSON.stringify(found).includes(identity.secret));
  await rm(path);
  assert.equal((await checkRecovery(state)).level, 'ok');
});
