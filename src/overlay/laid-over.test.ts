/** Whatever is laid over an image: what is read through LaidOver is what applying its entries makes of the image. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles, type ImageFiles } from '../image/files.ts';
import { BladerootError } from '../errors.ts';
import { applyOverlay } from './apply.ts';
import { encodeOverlay } from './archive.ts';
import { dirEntry, editEntry, fileEntry, type OverlayEntry } from './entry.ts';
import { LaidOver } from './laid-over.ts';

const IMAGE = { 'a/a/a': '1', 'a/b': '2', 'b/c': '3', c: '->a', 'b/a': '->../a/a', 'a/c': '->/nowhere' };

const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));
const entry: fc.Arbitrary<OverlayEntry> = fc.oneof(
  fc.tuple(path, fc.string()).map(([at, text]) => fileEntry(at, text, 'test')),
  path.map((at) => dirEntry(at, 'test')),
  fc
    .tuple(path, path)
    .map(([at, target]) => editEntry({ type: 'symlink', path: at, target: `/${target}` }, 'test')),
  path.map((at) => editEntry({ type: 'whiteout', path: at }, 'test')),
);

async function describe(files: ImageFiles, at = ''): Promise<string[]> {
  const lines: string[] = [];
  for (const name of await files.list(at)) {
    const path = join(at, name);
    const stat = await files.stat(path);
    const content = stat?.type === 'file' ? (await files.read(path)).toString('hex') : (stat?.target ?? '');
    lines.push(`${path} ${stat?.type} ${content}`);
    if (stat?.type === 'dir') lines.push(...(await describe(files, path)));
  }
  return lines;
}

test('the image as it is read with entries laid over it is the image that they are applied to', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
      const image = await folderOf(t, IMAGE);
      const root = new LaidOver(new DirectoryFiles(image));
      for (const one of entries) {
        await root.put(one).catch((error: unknown) => {
          if (!(error instanceof BladerootError && error.code === 'OVERLAY_CONFLICT')) throw error;
        });
      }
      const seen = await describe(root);
      await applyOverlay(encodeOverlay(root.entries()), image);
      assert.deepEqual(await describe(new DirectoryFiles(image)), seen);
    }),
    {
      numRuns: 150,
      examples: [[[fileEntry('c', '', 'test'), editEntry({ type: 'whiteout', path: 'c/a/a' }, 'test')]]],
    },
  );
});
