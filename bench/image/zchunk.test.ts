import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../src/fleet/folder.fixture.ts';
import { run } from '../../src/system/run.ts';
import { bytesToFetch, chunksOf } from './zchunk.ts';

const { signal } = new AbortController();
const { stdout } = await run('sh', ['-c', 'command -v zck || true']);
const skip = stdout === '' && 'zchunk is not installed: scripts/setup --bench';

test(
  'a byte in front of a file costs its first chunks and the header, and nothing new just the header',
  { skip },
  async (t) => {
    const folder = await folderOf(t, { 'old/': '', 'new/': '' });
    const content = randomBytes(4 << 20);
    await writeFile(join(folder, 'old/file'), content);
    await writeFile(join(folder, 'new/file'), Buffer.concat([Buffer.from('+'), content]));
    const old = await chunksOf(join(folder, 'old'), join(folder, 'old.chunks'), signal);
    const next = await chunksOf(join(folder, 'new'), join(folder, 'new.chunks'), signal);

    const archived = old.chunks.reduce((sum, { length }) => sum + length, 0);
    assert.ok(archived > content.length && archived % 512 === 0, 'the chunks are the whole tar archive');
    assert.equal(await bytesToFetch(old, old, signal), old.headerBytes);
    const whole = await bytesToFetch(undefined, next, signal);
    assert.ok(whole > content.length, 'nothing is left out');
    const fetched = await bytesToFetch(old, next, signal);
    assert.ok(fetched > next.headerBytes && fetched < content.length / 4, `${fetched} bytes`);
  },
);
