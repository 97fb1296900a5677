import assert from 'node:assert/strict';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { collect } from '../store/byte-reader.ts';
import { run } from '../system/run.ts';
import { encodeTarHeader, TAR_END, tarPadding, type TarHeader, type TarType } from './tar.ts';
import { decodeTar } from './tar-decoder.ts';
import { scratch } from './testing/scratch.ts';

/** In chunks of odd lengths, as pipes give them. */
async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function decodeAll(
  archive: Buffer,
  chunkSize = 1000,
): Promise<{ header: TarHeader; content: Buffer }[]> {
  const entries: { header: TarHeader; content: Buffer }[] = [];
  for await (const { header, content } of decodeTar(inChunks(archive, chunkSize))) {
    entries.push({ header, content: await collect(content) });
  }
  return entries;
}

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc
    .uint8Array({ minLength, maxLength })
    .map((array) => Buffer.from(array.map((byte) => (byte === 0 ? 1 : byte))));

const time = fc
  .tuple(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.integer({ min: 0, max: 999_999_999 }))
  .map(([seconds, nanoseconds]) => {
    const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
    return fraction === '' ? String(seconds) : `${seconds}.${fraction}`;
  });

const entry = fc
  .record({
    path: bytes(1, 300),
    type: fc.constantFrom<TarType>('file', 'hardlink', 'symlink', 'char', 'block', 'dir', 'fifo'),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 0xfffffffe }),
    gid: fc.integer({ min: 0, max: 0xfffffffe }),
    mtime: time,
    target: bytes(1, 300),
    major: fc.integer({ min: 0, max: 4095 }),
    minor: fc.integer({ min: 0, max: 1048575 }),
    xattrs: fc
      .uniqueArray(fc.tuple(bytes(1, 20), fc.uint8Array({ maxLength: 50 })), {
        selector: ([name]) => name.toString('latin1'),
        maxLength: 3,
      })
      .map((pairs) => new Map(pairs.map(([name, value]) => [name.toString('latin1'), Buffer.from(value)]))),
    content: bytes(0, 1600),
  })
  .map(({ content, ...header }) => {
    const { type, target, major, minor } = header;
    const isDevice = type === 'char' || type === 'block';
    return {
      header: {
        ...header,
        size: type === 'file' ? content.length : 0,
        target: type === 'symlink' || type === 'hardlink' ? target : Buffer.alloc(0),
        major: isDevice ? major : 0,
        minor: isDevice ? minor : 0,
      },
      content: type === 'file' ? content : Buffer.alloc(0),
    };
  });

test('every header survives encoding and decoding, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 4 }),
      fc.integer({ min: 1, max: 3000 }),
      async (entries, chunkSize) => {
        const parts = entries.flatMap(({ header, content }) => [
          encodeTarHeader(header),
          content,
          tarPadding(content.length),
        ]);
        const archive = Buffer.concat([...parts, TAR_END]);
        assert.equal(archive.length % 512, 0);
        assert.deepEqual(await decodeAll(archive, chunkSize), entries);
      },
    ),
    { numRuns: 200 },
  );
});

test('a content that is left unread is skipped', async () => {
  const content = Buffer.alloc(1500, 'x');
  const file = (name: string): Buffer[] => [
    encodeTarHeader({ path: Buffer.from(name), type: 'file', size: content.length }),
    content,
    tarPadding(content.length),
  ];
  const archive = Buffer.concat([...file('one'), ...file('two'), TAR_END]);
  const names: string[] = [];
  for await (const { header, content: read } of decodeTar(inChunks(archive, 100))) {
    names.push(header.path.toString());
    for await (const chunk of read) {
      assert.ok(chunk.length > 0);
      break;
    }
  }
  assert.deepEqual(names, ['one', 'two']);
});

test('GNU tar reads what we write', async (t) => {
  const directory = await scratch(t);
  const path = Buffer.from(`${'long/'.repeat(40)}caf\xe9`, 'latin1');
  const size = 8 * 1024 ** 3;
  const header = encodeTarHeader({ path, type: 'file', mode: 0o4755, uid: 4294967294, size, mtime: '1.5' });
  await writeFile(join(directory, 'x.tar'), header);
  await truncate(join(directory, 'x.tar'), header.length + size + TAR_END.length);
  const args = ['--list', '--verbose', '--numeric-owner', '--utc', '--full-time', '--file=x.tar'];
  const { stdout } = await run('tar', args, { cwd: directory, env: { LC_ALL: 'C' } });
  assert.match(stdout, /^-rwsr-xr-x 4294967294\/0\s+8589934592 1970-01-01 00:00:01.5 long\/.*caf\\351\n$/);
});

test('old GNU archives with long names and links are read', async (t) => {
  const directory = await scratch(t);
  const name = `${'directory/'.repeat(15)}file`;
  await mkdir(join(directory, name, '..'), { recursive: true });
  await writeFile(join(directory, name), 'content');
  await run('ln', ['-s', name, 'link'], { cwd: directory });
  await run('tar', ['--create', '--format=gnu', '--file=old.tar', name, 'link'], { cwd: directory });
  const [file, link] = await decodeAll(await readFile(join(directory, 'old.tar')));
  assert.equal(file?.header.path.toString(), name);
  assert.equal(file?.content.toString(), 'content');
  assert.equal(link?.header.target.toString(), name);
});

test('an archive that is cut off or is none is refused', async () => {
  const archive = Buffer.concat([
    encodeTarHeader({ path: Buffer.from('file'), type: 'file', size: 600 }),
    Buffer.alloc(1024),
  ]);
  await assert.rejects(decodeAll(archive.subarray(0, 700)), { code: 'TAR_CUT_OFF' });
  await assert.rejects(decodeAll(archive), { code: 'TAR_CUT_OFF' });
  await assert.rejects(decodeAll(Buffer.alloc(1024, 'a')), { code: 'TAR_DAMAGED' });
});
