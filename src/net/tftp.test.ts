import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { errorCode } from '../errors.ts';
import { decodeTftp, encodeTftp, writeTftpData, type TftpPacket } from './tftp.ts';

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
const lower = text.map((value) => value.toLowerCase());
const options = fc
  .array(fc.tuple(fc.stringMatching(/^[a-z0-9]{1,12}$/), fc.stringMatching(/^[!-~]{1,12}$/)))
  .map((entries) => new Map(entries));
const uint16 = fc.nat(0xffff);
const data = fc.uint8Array({ maxLength: 1500 }).map((value) => Buffer.from(value));

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });
const packets: fc.Arbitrary<TftpPacket> = fc.oneof(
  record({
    type: fc.constantFrom('rrq' as const, 'wrq' as const),
    file: text,
    mode: lower.filter((value) => value !== ''),
    options,
  }),
  record({ type: fc.constant('data' as const), block: uint16, data }),
  record({ type: fc.constant('ack' as const), block: uint16 }),
  record({ type: fc.constant('error' as const), code: uint16, message: text }),
  record({ type: fc.constant('oack' as const), options: options.filter((map) => map.size > 0) }),
);

test('what is encoded is decoded to the same packet', () => {
  fc.assert(fc.property(packets, (packet) => assert.deepEqual(decodeTftp(encodeTftp(packet)), packet)));
});

test('data packets that are written one behind the other are what is encoded one by one', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(uint16, data), { maxLength: 5 }), (blocks) => {
      const encoded = blocks.map(([block, bytes]) => encodeTftp({ type: 'data', block, data: bytes }));
      const written = Buffer.alloc(encoded.reduce((total, { length }) => total + length, 0));
      let end = 0;
      for (const [block, bytes] of blocks) end = writeTftpData(written, end, block, bytes);
      assert.equal(end, written.length);
      assert.deepEqual(written, Buffer.concat(encoded));
    }),
  );
});

test('any bytes are a packet or TFTP_MALFORMED, never another error', () => {
  const opcodes = fc
    .uint8Array({ maxLength: 60 })
    .map((rest) => Buffer.from([0, (rest[0] ?? 0) % 8, ...rest]));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), opcodes), (input) => {
      try {
        decodeTftp(input);
      } catch (error) {
        assert.equal(errorCode(error), 'TFTP_MALFORMED', String(error));
      }
    }),
  );
});

test('names of options and modes are read in any case, the first of two equal ones counts', () => {
  const request = decodeTftp(Buffer.from('\0\x01a\0OCTET\0BlkSize\x001024\0blksize\x00512\0'));
  assert.deepEqual(request, {
    type: 'rrq',
    file: 'a',
    mode: 'octet',
    options: new Map([['blksize', '1024']]),
  });
});

test('NULs behind a request, as some ROMs send them, and a missing last NUL do no harm', () => {
  const wanted = { type: 'rrq', file: 'a', mode: 'octet', options: new Map([['tsize', '0']]) };
  assert.deepEqual(decodeTftp(Buffer.from('\0\x01a\0octet\0tsize\x000\0\0\0\0\0')), wanted);
  assert.deepEqual(decodeTftp(Buffer.from('\0\x01a\0octet\0tsize\x000')), wanted);
});
