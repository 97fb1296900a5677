import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readContent, type TftpContent } from './tftp-content.ts';
import { asNetascii, servedFiles } from './tftp-files.ts';

const dir = await mkdtemp(join(tmpdir(), 'bladeroot-tftp-files-'));
after(() => rm(dir, { recursive: true }));
await writeFile(join(dir, 'loader'), 'loader\nof\r\nours');
await writeFile(join(dir, 'large'), Buffer.alloc(3 * 2 ** 20, 'x'));
const files = servedFiles(
  new Map([
    ['boot/loader', join(dir, 'loader')],
    ['large', join(dir, 'large')],
    ['gone', join(dir, 'gone')],
    ['dir', dir],
  ]),
);

test('TFTP-21: only names of the map are served, whatever stands on the disk', async () => {
  for (const name of [
    '',
    'boot',
    'loader',
    'boot/../boot/loader',
    '../loader',
    '/etc/passwd',
    'gone',
    'dir',
  ]) {
    assert.equal(await files.open(name), undefined, name);
  }
});

test('TFTP-22: a loader that 1,000 fetch at once is one buffer, read once', async () => {
  const opened = await Promise.all(Array.from({ length: 1000 }, () => files.open('boot/loader')));
  const parts = opened.map((file) => read(file, 2, 3));
  assert.equal(new Set(parts.map((part) => part.buffer)).size, 1);
  assert.ok(parts[999]?.buffer instanceof SharedArrayBuffer);
  assert.equal(Buffer.from(parts[999]).toString(), 'ade');
  await Promise.all(opened.map((file) => file?.close()));
});

test('TFTP-22: a large file that 1,000 fetch at once is one descriptor, closed after the last of them', async () => {
  const before = await descriptors();
  const opened = await Promise.all(Array.from({ length: 1000 }, () => files.open('large')));
  assert.equal(await descriptors(), before + 1);
  assert.equal(read(opened[0], 3 * 2 ** 20 - 10, 10).length, 10);
  await Promise.all(opened.map((file) => file?.close()));
  assert.equal(await descriptors(), before);
});

test('a large file that shrinks while it is sent is an error, never a short block', async () => {
  const file = await files.open('large');
  await truncate(join(dir, 'large'), 100);
  assert.throws(() => read(file, 0, 512), { code: 'FILE_CHANGED' });
  await file?.close();
});

test('TFTP-19: netascii is the text with CR LF, and a long file is refused rather than held in memory', async () => {
  const file = await files.open('boot/loader');
  assert.ok(file !== undefined);
  const text = asNetascii(file);
  assert.equal(Buffer.from(read(text, 0, text.size)).toString(), 'loader\r\nof\r\0\r\nours');
  await file.close();
  assert.throws(() => asNetascii({ ...file, size: 2 ** 30 }), { code: 'TFTP_NETASCII' });
});

function read(file: { content: TftpContent } | undefined, offset: number, length: number): Uint8Array {
  assert.ok(file !== undefined);
  return readContent(file.content, offset, length);
}

/** How many files this process has open. */
async function descriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}
