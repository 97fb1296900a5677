import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { describeError } from '../errors.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { sampleKey, sampleRelease } from '../release/release.fixture.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { CurrentRelease } from './current-release.ts';

const key = sampleKey();

function unexpected(error: unknown): void {
  assert.fail(describeError(error));
}

/** Counts how often it was asked for the current release, and tells when that was answered. */
class WatchedRepository extends ReleaseRepository {
  reads = 0;
  #answered = Promise.withResolvers<void>();

  override async current() {
    try {
      return await super.current();
    } finally {
      this.reads++;
      setImmediate(() => {
        this.#answered.resolve();
        this.#answered = Promise.withResolvers();
      });
    }
  }

  /** Resolves when that is so, looking again after each reading. */
  async until(so: () => boolean): Promise<void> {
    while (!so()) await this.#answered.promise;
  }
}

async function startCurrent(t: TestContext) {
  const releases = new WatchedRepository(await folderOf(t, {}), createPublicKey(key));
  await releases.put(sampleRelease(key, { sequence: 1 }));
  const errors: string[] = [];
  const current = new CurrentRelease(releases, (error) => errors.push(describeError(error)));
  await current.start();
  t.after(async () => await current.stop());
  return { releases, errors, sequence: (): number => current.get().statement.sequence };
}

test('a release that is published while the root runs is the current one', async (t) => {
  const { releases, sequence, errors } = await startCurrent(t);
  assert.equal(sequence(), 1);
  await releases.put(sampleRelease(key, { sequence: 2 }));
  await releases.until(() => sequence() === 2);
  assert.deepEqual(errors, []);
});

test('an altered release is reported and the good one stays; the next good one is taken', async (t) => {
  const { releases, sequence, errors } = await startCurrent(t);
  const { envelope } = sampleRelease(sampleKey(), { sequence: 2 });
  await writeFile(join(releases.directory, '2.json'), envelope);
  // Written in place, it may be seen half written first.
  await releases.until(() =>
    errors.some((error) => /^release 2 \(.*2\.json\) was altered, or is not signed/.test(error)),
  );
  assert.equal(sequence(), 1);
  await releases.put(sampleRelease(key, { sequence: 3 }));
  await releases.until(() => sequence() === 3);
});

test('a release that disappears does not bring an older one back', async (t) => {
  const { releases, sequence } = await startCurrent(t);
  await releases.put(sampleRelease(key, { sequence: 2 }));
  await releases.until(() => sequence() === 2);
  const before = releases.reads;
  await rm(join(releases.directory, '2.json'));
  await releases.until(() => releases.reads > before);
  assert.equal(sequence(), 2);
});

test('what is there at the start must be good, and something must be there', async (t) => {
  const releases = new ReleaseRepository(await folderOf(t, {}), createPublicKey(key));
  await assert.rejects(new CurrentRelease(releases, unexpected).start(), {
    code: 'NO_RELEASE',
    hint: /release publish/,
  });
  await releases.put(sampleRelease(sampleKey()));
  await assert.rejects(new CurrentRelease(releases, unexpected).start(), { code: 'SIGNATURE_INVALID' });
});
