import assert from 'node:assert/strict';
import { cp, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HttpSource } from '../store/http-source.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { packTree } from './pack.ts';
import { snapshotStatement, snapshotStatementSchema, type SnapshotStatement } from './statement.ts';
import { describeTree } from './testing/describe-tree.ts';
import { makeRichTree, removeLeftovers } from './testing/rich-tree.ts';
import { scratch } from './testing/scratch.ts';
import { unpackSnapshot, type UnpackProgress } from './unpack.ts';

const CREATED = new Date('2026-01-02T03:04:05Z');

async function packInto(store: Store, tree: string): Promise<SnapshotStatement> {
  return snapshotStatement(await packTree(tree, store), 'test', CREATED);
}

test('a tree with everything that is easily lost comes back and cannot be told from the original', async (t) => {
  const base = await scratch(t);
  const [tree, out] = [join(base, 'tree'), join(base, 'out')];
  await mkdir(tree);
  await mkdir(out);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const packed = await packTree(tree, store);
  const statement = snapshotStatementSchema.parse(snapshotStatement(packed, 'rich', CREATED));
  await removeLeftovers(tree);

  let last: UnpackProgress | undefined;
  const source = new DirectorySource(store.directory);
  await unpackSnapshot({ statement, source, directory: out, onProgress: (progress) => (last = progress) });

  assert.deepEqual(await describeTree(out), await describeTree(tree));
  assert.equal(last?.phase, 'done');
  assert.equal(last.bytesDone, last.bytesTotal);
  assert.equal(last.fetchedBytes, statement.storedBytes);

  const again = await packTree(out, store, { base: statement });
  assert.equal(again.id, packed.id, 'what was unpacked packs to the same id');
  assert.deepEqual([again.newObjects, again.newBytes], [0, 0]);
});

test('the same tree gives the same id: again, as a copy elsewhere, in another locale, after being read', async (t) => {
  const base = await scratch(t);
  const [tree, copy] = [join(base, 'tree'), join(base, 'copy')];
  await mkdir(tree);
  await makeRichTree(tree);
  await run('cp', ['--archive', tree, copy]);
  await describeTree(copy);
  const first = await packTree(tree, await Store.open(join(base, 'one')));
  const language = process.env['LC_ALL'];
  process.env['LC_ALL'] = 'de_DE.UTF-8';
  t.after(() => {
    if (language === undefined) delete process.env['LC_ALL'];
    else process.env['LC_ALL'] = language;
  });
  const second = await packTree(copy, await Store.open(join(base, 'two')));
  assert.equal(second.id, first.id);
});

test('any small tree survives pack and unpack', async (t) => {
  const base = await scratch(t);
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((bytes) => Buffer.from(bytes).toString('latin1').replace(/[/\0]/g, '_'))
    .filter((text) => text !== '.' && text !== '..');
  const file = fc.record({
    folder: fc.nat(2),
    name,
    content: fc.uint8Array({ maxLength: 600 }),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    time: fc.integer({ min: -(2 ** 31), max: 2 ** 33 }),
    kind: fc.constantFrom('file', 'symlink', 'dir'),
  });
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 12 }), async (files) => {
      const root = join(base, String(round++));
      const [tree, out] = [join(root, 'tree'), join(root, 'out')];
      for (const folder of ['0', '1', '2']) await mkdir(join(tree, folder), { recursive: true });
      await mkdir(out);
      const made = new Set<string>();
      for (const { folder, name, content, mode, time, kind } of files) {
        if (made.has(`${folder}/${name}`)) continue;
        made.add(`${folder}/${name}`);
        const path = Buffer.concat([Buffer.from(`${tree}/${folder}/`), Buffer.from(name, 'latin1')]);
        if (kind === 'dir') await mkdir(path);
        else if (kind === 'symlink') await symlink(Buffer.from(`to${content.join('')}`), path);
        else await writeFile(path, content);
        if (kind === 'symlink') continue;
        const handle = await open(path);
        await handle.chmod(mode);
        await handle.utimes(time, time);
        await handle.close();
      }
      const store = await Store.open(join(root, 'store'));
      const statement = await packInto(store, tree);
      await unpackSnapshot({ statement, source: new DirectorySource(store.directory), directory: out });
      assert.deepEqual(await describeTree(out), await describeTree(tree));
      await rm(root, { recursive: true });
    }),
    { numRuns: 15 },
  );
});

test('a damaged pack, index or manifest is refused by name', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await mkdir(tree);
  await makeRichTree(tree);
  const whole = await Store.open(join(base, 'store'));
  const statement = await packInto(whole, tree);
  const packId = statement.layers[0]?.ways[0]?.[0]?.id ?? '';

  const damage = async (path: string, position: number): Promise<string> => {
    const copy = join(base, 'damaged');
    await rm(copy, { recursive: true, force: true });
    await cp(whole.directory, copy, { recursive: true });
    const bytes = await readFile(join(copy, path));
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    await writeFile(join(copy, path), bytes);
    return copy;
  };
  const cases = [
    [
      `packs/${packId}.pack`,
      2 * 1024 * 1024 + 5,
      'PIECE_DAMAGED',
      /piece 2 of pack .* from .*damaged is damaged/,
    ],
    [`packs/${packId}.json.zst`, 200, 'PACK_INDEX_DAMAGED', new RegExp(`index of pack ${packId}`)],
    [`manifests/${statement.id}.zst`, 100, 'MANIFEST_DAMAGED', new RegExp(`manifest ${statement.id}`)],
  ] as const;
  for (const [path, position, code, message] of cases) {
    const directory = join(base, code);
    await mkdir(directory);
    const source = new DirectorySource(await damage(path, position));
    await assert.rejects(unpackSnapshot({ statement, source, directory }), { code, message });
  }
});

test('an interrupted fetch resumes at the first missing piece, and the mirror can then hand out everything', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await mkdir(tree);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const mirror = await Store.open(join(base, 'mirror'));
  const statement = await packInto(store, tree);
  const pack = statement.layers[0]?.ways[0]?.[0];
  assert.ok(pack !== undefined);

  let packBytesSent = 0;
  let breakAfter = 3.5 * 1024 * 1024;
  const server = createServer((request, response) => {
    const path = join(store.directory, request.url?.replace('/store/', '') ?? '');
    const start = Number(/^bytes=(\d+)-\d+$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const { size } = statSync(path);
    const headers = { 'content-range': `bytes ${start}-${size - 1}/${size}` };
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? headers : {});
    const file = createReadStream(path, { start });
    file.on('data', (chunk) => {
      if (!path.endsWith('.pack')) return;
      packBytesSent += chunk.length;
      if (packBytesSent < breakAfter) return;
      file.destroy();
      response.destroy();
    });
    file.pipe(response);
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const source = new HttpSource(`http://127.0.0.1:${address.port}/store`);
  t.after(() => source.close());

  const [first, second] = [join(base, 'first'), join(base, 'second')];
  await mkdir(first);
  await mkdir(second);
  await assert.rejects(unpackSnapshot({ statement, source, mirror, directory: first }), {
    code: 'SOURCE_FAILED',
  });
  assert.equal(await mirror.hasPack(pack.id), false, 'a pack that is not whole does not exist');

  packBytesSent = 0;
  breakAfter = Infinity;
  await unpackSnapshot({ statement, source, mirror, directory: second });
  assert.ok(
    packBytesSent <= pack.bytes - 2 * 1024 * 1024,
    `${packBytesSent} of ${pack.bytes} were sent again`,
  );

  packBytesSent = 0;
  const third = join(base, 'third');
  await mkdir(third);
  await unpackSnapshot({ statement, source, mirror, directory: third });
  assert.equal(packBytesSent, 0, 'what the mirror holds is not fetched');
  const fourth = join(base, 'fourth');
  await mkdir(fourth);
  await unpackSnapshot({ statement, source: new DirectorySource(mirror.directory), directory: fourth });
  assert.deepEqual(await describeTree(fourth), await describeTree(second));
});

test("what was damaged on a mirror's own disk is mended from the source", async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await mkdir(tree);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const mirror = await Store.open(join(base, 'mirror'));
  const statement = await packInto(store, tree);
  const packId = statement.layers[0]?.ways[0]?.[0]?.id ?? '';
  const source = new DirectorySource(store.directory);
  for (const folder of ['packs', 'manifests']) {
    await cp(join(store.directory, folder), join(mirror.directory, folder), { recursive: true });
  }

  const paths = [`packs/${packId}.pack`, `packs/${packId}.json.zst`, `manifests/${statement.id}.zst`];
  for (const [i, path] of paths.entries()) {
    const file = await open(join(mirror.directory, path), 'r+');
    await file.write(Buffer.from('damage'), 0, 6, 100);
    await file.close();
    const directory = join(base, `out${i}`);
    await mkdir(directory);
    await unpackSnapshot({ statement, source, mirror, directory });
    for (const each of paths) {
      const mended = await readFile(join(mirror.directory, each));
      assert.ok(mended.equals(await readFile(join(store.directory, each))), each);
    }
  }
});

test('unpacking can be aborted, and says why it ended', async (t) => {
  const base = await scratch(t);
  const [tree, directory] = [join(base, 'tree'), join(base, 'out')];
  await mkdir(tree);
  await mkdir(directory);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const statement = await packInto(store, tree);
  const abort = new AbortController();
  const reason = new Error('enough');
  await assert.rejects(
    unpackSnapshot({
      statement,
      source: new DirectorySource(store.directory),
      directory,
      signal: abort.signal,
      onProgress: ({ bytesDone }) => {
        if (bytesDone > 1024 * 1024) abort.abort(reason);
      },
    }),
    reason,
  );
  assert.equal(existsSync(join(directory, 'a/long')), false);
});
