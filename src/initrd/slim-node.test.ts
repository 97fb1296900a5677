import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../system/run.ts';
import { slimNode } from './slim-node.ts';

let directory = '';
let slim = '';
let sizes = { before: 0, zeros: 0, after: 0 };

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bladeroot-slim-'));
  slim = join(directory, 'node');
  const node = await readFile(process.execPath);
  const slimmed = slimNode(node);
  sizes = { before: node.length, after: slimmed.length, zeros: longestRunOfZeros(slimmed) };
  await writeFile(slim, slimmed, { mode: 0o755 });
});

after(() => rm(directory, { recursive: true, force: true }));

const PAGE = Buffer.alloc(4096);

function longestRunOfZeros(bytes: Buffer): number {
  let [longest, current] = [0, 0];
  for (let at = 0; at < bytes.length; at += PAGE.length) {
    current = PAGE.equals(bytes.subarray(at, at + PAGE.length)) ? current + PAGE.length : 0;
    longest = Math.max(longest, current);
  }
  return longest;
}

test('its symbols are gone, and most of the languages of ICU are zeros', () => {
  assert.ok(sizes.after < 0.9 * sizes.before, JSON.stringify(sizes));
  assert.ok(sizes.zeros > 20e6, JSON.stringify(sizes));
});

test('it does what the agent does, as the whole Node does it', async () => {
  const script = `
    import { request } from 'node:http';
    import { Worker } from 'node:worker_threads';
    import koffi from ${JSON.stringify(import.meta.resolve('koffi'))};
    const thread = "import { parentPort } from 'node:worker_threads'; parentPort.postMessage('thread')";
    const worker = new Worker(new URL('data:text/javascript,' + thread));
    const said = [
      await new Promise((resolve) => worker.once('message', resolve)),
      koffi.load(null).func('uint32_t ZSTD_versionNumber()')(),
      new URL('http://bücher.example:8067/x').host,
      new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from('ä€😀')),
      new TextDecoder('latin1').decode(Buffer.from([0xe4])),
      'ﬁÄ'.normalize('NFKC'), 'İSTANBUL'.toLowerCase(), /^\\p{Lu}$/u.test('Ä'), 'ä'.localeCompare('b'),
      new Date(1e12).toISOString(), new Date(1e12).toLocaleString(), (1234567.8).toLocaleString(),
      new Date(1e12).toString(), typeof request,
    ];
    console.log(JSON.stringify(said));
  `;
  const say = async (node: string): Promise<string> => {
    const { stdout } = await run(node, ['--input-type=module', '--eval', script], {
      env: { LANG: 'C', TZ: 'Europe/Berlin' },
    });
    return stdout;
  };
  const said = await say(slim);
  assert.match(said, /^\["thread",/);
  assert.equal(said, await say(process.execPath));
});

test('what is no program stays as it is', () => {
  const script = Buffer.from('#!/bin/sh\nexec node "$@"\n');
  assert.deepEqual(slimNode(script), script);
});
