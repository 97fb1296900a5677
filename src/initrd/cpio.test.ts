import assert from 'node:assert/strict';
import { lstat, mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { run } from '../system/run.ts';
import { readCpio, writeCpio, type InitrdFile } from './cpio.ts';

const FILES: InitrdFile[] = [
  { path: 'usr/bin/tool', mode: 0o755, content: Buffer.from('hello') },
  { path: 'bin', target: 'usr/bin' },
  { path: 'tmp', mode: 0o1777, directory: true },
  { path: 'dev/console', mode: 0o600, device: { major: 5, minor: 1 } },
  { path: 'empty', mode: 0o644, content: Buffer.alloc(0) },
];

function archive(files: InitrdFile[]): Buffer {
  return Buffer.concat([...writeCpio(files)]);
}

test('GNU cpio lists every entry: sorted, of root, parents made, times 0', async () => {
  const { stdout } = await run('cpio', ['--quiet', '-itvn'], {
    input: archive(FILES),
    env: { TZ: 'UTC', LC_ALL: 'C' },
  });
  const lines = stdout.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => line.replaceAll(/ +/g, ' ')),
    [
      'lrwxrwxrwx 1 0 0 7 Jan 1 1970 bin -> usr/bin',
      'drwxr-xr-x 2 0 0 0 Jan 1 1970 dev',
      'crw------- 1 0 0 5, 1 Jan 1 1970 dev/console',
      '-rw-r--r-- 1 0 0 0 Jan 1 1970 empty',
      'drwxrwxrwt 2 0 0 0 Jan 1 1970 tmp',
      'drwxr-xr-x 2 0 0 0 Jan 1 1970 usr',
      'drwxr-xr-x 2 0 0 0 Jan 1 1970 usr/bin',
      '-rwxr-xr-x 1 0 0 5 Jan 1 1970 usr/bin/tool',
    ],
  );
});

test('the order in which files are given does not matter', () => {
  assert.deepEqual(archive(FILES.toReversed()), archive(FILES));
});

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => !/[/\0\n]/.test(text) && text !== '.' && text !== '..' && text.isWellFormed());
const file: fc.Arbitrary<InitrdFile> = fc
  .tuple(fc.constantFrom('a', 'b/c'), name)
  .map(([directory, base]) => `${directory}/${base}`)
  .chain((path) =>
    fc.oneof(
      fc.record({
        path: fc.constant(path),
        mode: fc.constantFrom(0o644, 0o4755),
        content: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      }),
      fc.record({ path: fc.constant(path), target: name }),
    ),
  );

test('GNU cpio unpacks any files as they were', async () => {
  const files = fc.uniqueArray(file, { selector: ({ path }) => path, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(files, async (files) => {
      const directory = await mkdtemp(join(tmpdir(), 'bladeroot-cpio-'));
      try {
        await run('cpio', ['--quiet', '-id'], { cwd: directory, input: archive(files) });
        for (const file of files) {
          const path = join(directory, file.path);
          if ('target' in file) assert.equal(await readlink(path), file.target);
          else assert.equal((await lstat(path)).mode & 0o7777, file.mode);
          if ('content' in file) assert.deepEqual(await readFile(path), file.content);
        }
      } finally {
        await rm(directory, { recursive: true });
      }
    }),
    { numRuns: 40 },
  );
});

test('what was written is read', () => {
  const files = fc.uniqueArray(file, { selector: ({ path }) => path, maxLength: 10 });
  fc.assert(
    fc.property(files, (files) => {
      const read = new Map([...readCpio(archive(files))].map((entry) => [entry.path, entry]));
      for (const file of files) {
        const entry = read.get(file.path);
        if ('content' in file) assert.deepEqual([entry?.type, entry?.content], ['file', file.content]);
        else if ('target' in file) assert.equal(entry?.content.toString(), file.target);
      }
    }),
  );
});

test('an archive that is cut off anywhere, or altered, is an error and nothing else', () => {
  const whole = archive(FILES);
  const cut = fc.nat(whole.length - 1).map((length) => whole.subarray(0, length));
  const altered = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => {
    const bytes = Buffer.from(whole);
    bytes[at] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(cut, altered), (bytes) => {
      try {
        for (const entry of readCpio(bytes)) assert.ok(entry.content.length <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof BladerootError && error.code === 'INITRD_FORMAT', String(error));
      }
    }),
  );
  assert.throws(() => [...readCpio(whole.subarray(0, 200))], { code: 'INITRD_FORMAT' });
});

for (const [why, paths] of [
  ['absolute', ['/etc/passwd']],
  ['with a way out', ['../x']],
  ['empty', ['']],
  ['there twice', ['a', 'a']],
  ['below a file', ['a', 'a/b/c']],
  ['the name that ends an archive', ['TRAILER!!!']],
] as const) {
  test(`a path is refused that is ${why}`, () => {
    const files = paths.map((path) => ({ path, mode: 0o644, content: Buffer.alloc(0) }));
    assert.throws(() => archive(files), { code: 'INITRD_PATH' });
  });
}
