import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeOverlay } from '../overlay/archive.ts';
import { dirEntry, fileEntry } from '../overlay/entry.ts';
import { authorizedKeysIn } from './rescue.ts';

test("who may log in is read from the blade's overlay, and nothing else is", async () => {
  const keys = 'ssh-ed25519 AAAA admin@example\nssh-ed25519 BBBB other@example\n';
  const overlay = encodeOverlay([
    dirEntry('root/.ssh', 'test', 0o700),
    fileEntry('root/.ssh/authorized_keys', keys, 'test', 0o600),
    fileEntry('root/.ssh/authorized_keys2', 'ssh-ed25519 CCCC', 'test'),
  ]);
  assert.equal(await authorizedKeysIn(overlay), keys);
  const none = encodeOverlay([fileEntry('home/x/root/.ssh/authorized_keys', keys, 'test')]);
  assert.equal(await authorizedKeysIn(none), undefined);
});
