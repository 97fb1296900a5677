import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { errorCode } from '../errors.ts';
import { collect } from './byte-reader.ts';
import { DirectorySource } from './directory-source.ts';

const MIB = 1024 * 1024;

async function folderWith(t: TestContext, bytes: Buffer): Promise<{ path: string; source: DirectorySource }> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-source-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, 'packs'));
  await writeFile(join(directory, 'packs/x'), bytes);
  return { path: join(directory, 'packs/x'), source: new DirectorySource(directory) };
}

/** How often this process has the file open. */
async function timesOpen(path: string): Promise<number> {
  const targets = (await readdir('/proc/self/fd')).map(async (fd) => {
    try {
      return await readlink(`/proc/self/fd/${fd}`);
    } catch (error) {
      // The folder was open while it was listed.
      if (errorCode(error) !== 'ENOENT') throw error;
      return undefined;
    }
  });
  return (await Promise.all(targets)).filter((target) => target === path).length;
}

test('any range of a file comes, a piece at a time, each in a buffer of its own', async (t) => {
  const bytes = randomBytes(2 * MIB + 500);
  const { source } = await folderWith(t, bytes);
  const size = bytes.length;
  const ranges: [number | undefined, number | undefined][] = [
    [undefined, undefined],
    [0, 1],
    [MIB, 2 * MIB],
    [100, MIB + 101],
    [size - 1, size],
    [5, size + 1000],
    [size, undefined],
    [7, 7],
  ];
  for (const [start, end] of ranges) {
    const expected = bytes.subarray(start ?? 0, end);
    assert.ok(expected.equals(await collect(await source.get('packs/x', { start, end }))), `${start}-${end}`);
  }

  const chunks: Buffer[] = [];
  for await (const chunk of await source.get('packs/x', { start: 500 })) chunks.push(chunk);
  assert.deepEqual(
    chunks.map(({ length }) => length),
    [MIB, MIB],
  );
  assert.equal(new Set(chunks.map(({ buffer }) => buffer)).size, 2);
});

test('what is not there is missing; what cannot be read, or has become shorter, has failed', async (t) => {
  const { path, source } = await folderWith(t, Buffer.alloc(2 * MIB));
  await assert.rejects(source.get('packs/y'), { code: 'SOURCE_MISSING', message: /has no packs\/y$/ });
  await assert.rejects(collect(await source.get('packs')), { code: 'SOURCE_FAILED', message: /EISDIR/ });
  await assert.rejects(source.get('packs/x/y'), { code: 'SOURCE_FAILED', message: /ENOTDIR/ });
  await assert.rejects(source.get('packs/x', { start: 2 * MIB + 1 }), { code: 'SOURCE_FAILED' });

  const shrinking = await source.get('packs/x');
  await truncate(path, 100);
  await assert.rejects(collect(shrinking), { code: 'SOURCE_FAILED', message: /is only 100 bytes long/ });
});

test('the file is closed whether it is read to its end, left before, refused or aborted', async (t) => {
  const { path, source } = await folderWith(t, Buffer.alloc(3 * MIB));
  const opened = await source.get('packs/x');
  assert.equal(await timesOpen(path), 1);
  await collect(opened);
  assert.equal(await timesOpen(path), 0, 'read to its end');

  const unread = await source.get('packs/x');
  await unread[Symbol.asyncIterator]().return?.();
  assert.equal(await timesOpen(path), 0, 'left before its first byte');

  for await (const chunk of await source.get('packs/x')) if (chunk.length === MIB) break;
  assert.equal(await timesOpen(path), 0, 'left in the middle');

  await assert.rejects(source.get('packs/x', { start: 4 * MIB }));
  assert.equal(await timesOpen(path), 0, 'refused');

  const abort = new AbortController();
  const reason = new Error('enough');
  const aborted = await source.get('packs/x', { signal: abort.signal });
  abort.abort(reason);
  await assert.rejects(collect(aborted), reason);
  assert.equal(await timesOpen(path), 0, 'aborted');
  await assert.rejects(source.get('packs/x', { signal: abort.signal }), reason);
});
