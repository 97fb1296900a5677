import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { run } from '../system/run.ts';
import { readElf } from './elf.ts';
import { sampleElf } from './sample-image.fixture.ts';

const program = sampleElf({
  interpreter: '/lib/ld.so',
  needed: ['liba.so', 'libb.so'],
  runpath: '/x:$ORIGIN/y',
});

test('interpreter, libraries, search path and machine are read', () => {
  assert.deepEqual(readElf(program), {
    machine: 62,
    interpreter: '/lib/ld.so',
    needed: ['liba.so', 'libb.so'],
    runpath: ['/x', '$ORIGIN/y'],
  });
});

test('a static program needs nothing', () => {
  assert.deepEqual(readElf(sampleElf({ machine: 183 })), {
    machine: 183,
    interpreter: undefined,
    needed: [],
    runpath: [],
  });
});

const noReadelf = existsSync('/usr/bin/readelf') ? false : 'readelf (binutils) is not installed';
for (const path of ['/usr/bin/tar', '/usr/sbin/mke2fs', '/usr/bin/lsblk', process.execPath]) {
  test(`${path} reads as readelf reads it`, { skip: noReadelf }, async () => {
    const { stdout } = await run('readelf', ['-dl', path], { env: { LC_ALL: 'C' } });
    const elf = readElf(await readFile(path));
    assert.deepEqual(
      elf.needed,
      [...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
    );
    assert.equal(elf.interpreter, /interpreter: (.*)\]/.exec(stdout)?.[1]);
  });
}

function assertReadable(bytes: Buffer): void {
  try {
    readElf(bytes);
  } catch (error) {
    assert.ok(error instanceof BladerootError, String(error));
  }
}

test('any bytes at all are read or refused, never worse', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => assertReadable(Buffer.from(bytes))));
});

test('a program with altered bytes, or cut off, is read or refused, never worse', () => {
  const change = fc.record({ at: fc.nat(program.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), fc.nat(program.length), (changes, length) => {
      const bytes = Buffer.from(program);
      for (const { at, byte } of changes) bytes[at] = byte;
      assertReadable(bytes);
      assertReadable(bytes.subarray(0, length));
    }),
    { numRuns: 2000 },
  );
});
