import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { run } from '../../system/run.ts';
import { decodeEnvironment, encodeEnvironment, ENVIRONMENT_BYTES } from './environment.ts';

async function blockFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-grubenv-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return join(directory, 'grubenv');
}

const variables = fc.dictionary(
  fc.stringMatching(/^[a-z_]{1,8}$/),
  fc.string({ unit: fc.constantFrom(...'ab01 =#\\\n"$'), maxLength: 12 }),
  { maxKeys: 6, noNullPrototype: true },
);

test('what is encoded is decoded, in 1024 bytes, the second sector always the same', () => {
  fc.assert(
    fc.property(variables, (given) => {
      const block = encodeEnvironment(given);
      assert.equal(block.length, ENVIRONMENT_BYTES);
      assert.deepEqual(decodeEnvironment(block), given);
      assert.ok(block.subarray(512).every((byte) => byte === 0x23));
    }),
  );
});

test("GRUB's own grub-editenv reads what is encoded, and what it writes is decoded", async (t) => {
  const path = await blockFile(t);
  await writeFile(path, encodeEnvironment({ good: 'a', try: 'b', tries: '2' }));
  assert.equal((await run('grub-editenv', [path, 'list'])).stdout, 'good=a\ntry=b\ntries=2\n');
  await run('grub-editenv', [path, 'set', 'tries=1', 'odd=a\\b']);
  assert.deepEqual(decodeEnvironment(await readFile(path)), { good: 'a', try: 'b', tries: '1', odd: 'a\\b' });
  await run('grub-editenv', [path, 'create']);
  assert.deepEqual(decodeEnvironment(await readFile(path)), {});
});

test('what is no block is none: another length, another beginning; any bytes behind it are survived', () => {
  const block = encodeEnvironment({ good: 'a' });
  assert.equal(decodeEnvironment(Buffer.alloc(0)), undefined);
  assert.equal(decodeEnvironment(block.subarray(1)), undefined);
  assert.equal(decodeEnvironment(Buffer.alloc(ENVIRONMENT_BYTES)), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 999, maxLength: 999 }), (noise) => {
      assert.ok(decodeEnvironment(Buffer.concat([block.subarray(0, 25), noise])) !== undefined);
    }),
  );
});

test('variables that would reach into the second sector are refused', () => {
  assert.throws(() => encodeEnvironment({ long: 'x'.repeat(490) }), RangeError);
});
