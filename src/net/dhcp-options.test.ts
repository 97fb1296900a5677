import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  encodeSubOptions,
  PXE_BOOT_DIRECTLY,
  readArchitectures,
  readGuid,
  readSubOptions,
  readUserClass,
  terminated,
} from './dhcp-options.ts';

test('PXE-10: option 93 is a list of 16-bit numbers; an odd byte at its end is ignored', () => {
  assert.deepEqual(readArchitectures(Buffer.of(0, 7, 0, 16)), [7, 16]);
  assert.deepEqual(readArchitectures(Buffer.of(0, 0, 9)), [0]);
  assert.deepEqual(readArchitectures(undefined), []);
});

test('PXE-11: boot directly is 43.6 = 8 with an end mark', () => {
  assert.deepEqual([...PXE_BOOT_DIRECTLY], [6, 1, 8, 255]);
});

test('PXE-14: the GUID reads as the machine itself prints it; a short or a typed one is none', () => {
  const guid = Buffer.from('0033221100554477668899aabbccddeeff', 'hex');
  assert.equal(readGuid(guid), '00112233-4455-6677-8899-aabbccddeeff');
  assert.equal(readGuid(guid.subarray(0, 16)), undefined);
  assert.equal(readGuid(Buffer.concat([Buffer.of(1), guid.subarray(1)])), undefined);
});

test('PXE-15: a boot file name ends with NUL', () => {
  assert.deepEqual([...terminated('a')], [0x61, 0]);
});

test('PXE-16: user class is read in the raw form and in the form of RFC 3004', () => {
  assert.deepEqual(readUserClass(Buffer.from('iPXE')), ['iPXE']);
  assert.deepEqual(readUserClass(Buffer.from('iPXE\0')), ['iPXE']);
  assert.deepEqual(readUserClass(Buffer.from('\x04iPXE')), ['iPXE']);
  assert.deepEqual(readUserClass(Buffer.from('\x04iPXE\x09bladeroot')), ['iPXE', 'bladeroot']);
  assert.deepEqual(readUserClass(undefined), []);
});

test('sub-options are read back as written; cut-off ones at the end are ignored', () => {
  const entry = fc.tuple(
    fc.integer({ min: 1, max: 254 }),
    fc.uint8Array({ maxLength: 20 }).map((value) => Buffer.from(value)),
  );
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const options = new Map(entries);
      assert.deepEqual(readSubOptions(encodeSubOptions(options)), options);
    }),
  );
  assert.deepEqual(readSubOptions(Buffer.of(6, 1, 8, 9, 4, 1)), new Map([[6, Buffer.of(8)]]));
});
