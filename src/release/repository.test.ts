import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { sampleKey, sampleRelease } from './release.fixture.ts';
import { ReleaseRepository } from './repository.ts';

const key = sampleKey();

async function repository(t: TestContext, sequences: number[]): Promise<ReleaseRepository> {
  const state = await mkdtemp(join(tmpdir(), 'bladeroot-releases-'));
  t.after(async () => await rm(state, { recursive: true }));
  const releases = new ReleaseRepository(state, createPublicKey(key));
  for (const sequence of sequences) await releases.put(sampleRelease(key, { sequence }));
  return releases;
}

test('a release is read as it was put, to the byte', async (t) => {
  const releases = await repository(t, [7]);
  assert.deepEqual(await releases.read(7), sampleRelease(key, { sequence: 7 }));
});

test('releases are ordered by number, and the current one is the highest', async (t) => {
  const releases = await repository(t, [2, 10, 9]);
  assert.deepEqual(await releases.sequences(), [2, 9, 10]);
  assert.equal((await releases.current())?.statement.sequence, 10);
});

test('what is half written, or not named as a release, is no release', async (t) => {
  const releases = await repository(t, [1]);
  for (const name of ['2.json.abc.tmp', '03.json', '0.json', '-4.json', 'notes.json']) {
    await writeFile(join(releases.directory, name), '');
  }
  assert.deepEqual(await releases.sequences(), [1]);
});

test('before the first release there is none, and no error', async (t) => {
  const releases = await repository(t, []);
  assert.deepEqual(await releases.sequences(), []);
  assert.equal(await releases.current(), undefined);
});

test('a release that is not there is an error that says where to look', async (t) => {
  const releases = await repository(t, [1]);
  await assert.rejects(releases.read(2), {
    code: 'NO_RELEASE',
    message: 'there is no release 2',
    hint: /release list/,
  });
});

test('swapped release files are refused: an old release is not taken for a new one', async (t) => {
  const releases = await repository(t, [1, 2]);
  await rename(join(releases.directory, '1.json'), join(releases.directory, '3.json'));
  await assert.rejects(releases.current(), {
    code: 'SIGNATURE_INVALID',
    message: /3\.json holds release 1 under another's name/,
  });
});

test('an altered release is refused, by its number and its file', async (t) => {
  const releases = await repository(t, [1, 2]);
  const path = join(releases.directory, '2.json');
  const envelope: { payload: string } = JSON.parse(await readFile(path, 'utf8'));
  const statement = Buffer.from(envelope.payload, 'base64').toString().replace('10.77.0.11', '10.77.0.12');
  const payload = Buffer.from(statement).toString('base64');
  await writeFile(path, JSON.stringify({ ...envelope, payload }));
  await assert.rejects(releases.current(), {
    code: 'SIGNATURE_INVALID',
    message: `release 2 (${path}) was altered, or is not signed by this fleet's key`,
  });
  assert.equal((await releases.read(1)).statement.sequence, 1, 'the others are as good as before');
});
