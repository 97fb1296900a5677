import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { errorCode } from '../errors.ts';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from './dhcp.ts';
import { DHCP_OPTION } from './dhcp-options.ts';
import { ipv4FromBytes } from './ipv4.ts';

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
const address = bytes(4, 4).map(ipv4FromBytes);
const text = (room: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'grapheme' })
    .filter((value) => !value.includes('\0') && Buffer.byteLength(value) <= room);

const packets: fc.Arbitrary<DhcpPacket> = fc.record(
  {
    op: fc.constantFrom(1 as const, 2 as const),
    htype: fc.nat(255),
    hlen: fc.nat(16),
    hops: fc.nat(255),
    xid: fc.nat(0xffffffff),
    secs: fc.nat(0xffff),
    flags: fc.nat(0xffff),
    ciaddr: address,
    yiaddr: address,
    siaddr: address,
    giaddr: address,
    chaddr: bytes(16, 16),
    sname: text(64),
    file: text(128),
    options: fc
      .array(
        fc.tuple(
          fc.integer({ min: 1, max: 254 }).filter((code) => code !== DHCP_OPTION.overload),
          bytes(0, 700),
        ),
        { maxLength: 12 },
      )
      .map((entries) => new Map(entries)),
  },
  { noNullPrototype: true },
);

const [sample] = fc.sample(packets, { numRuns: 1, seed: 1 });
assert.ok(sample !== undefined);

test('what is encoded is decoded to the same packet, long options and their order included', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const decoded = decodeDhcp(encodeDhcp(packet));
      assert.deepEqual(decoded, packet);
      assert.deepEqual([...decoded.options.keys()], [...packet.options.keys()]);
    }),
  );
});

test('any bytes are a packet or DHCP_MALFORMED, never another error', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1500 }), survives));
  const mutated = fc
    .tuple(packets, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat())
    .map(([packet, changes, length]) => {
      const wire = encodeDhcp(packet);
      for (const [at, value] of changes) wire[at % wire.length] = value;
      return wire.subarray(0, length % (wire.length + 1));
    });
  fc.assert(fc.property(mutated, survives));
});

test('DHCP-1: no packet is shorter than 300 bytes', () => {
  assert.equal(encodeDhcp({ ...sample, options: new Map() }).length, 300);
});

test('DHCP-1: options beyond the maximum size are left out, later ones first, never option 82', () => {
  const options = new Map([
    [1, Buffer.alloc(4, 1)],
    [12, Buffer.alloc(100, 2)],
    [15, Buffer.alloc(10, 3)],
    [82, Buffer.alloc(20, 4)],
  ]);
  const short = encodeDhcp({ ...sample, options }, { maxSize: 300 });
  assert.equal(short.length, 300);
  assert.deepEqual([...decodeDhcp(short).options.keys()], [1, 15, 82]);
});

test('options in file and sname (option 52) are read, parts of one option are joined in the order of RFC 3396', () => {
  const wire = encodeDhcp({ ...sample, sname: '', file: '', options: new Map([[12, Buffer.from('we')]]) });
  wire.set([12, 2, ...Buffer.from('we'), DHCP_OPTION.overload, 1, 3, 255], 240);
  wire.set([12, 2, ...Buffer.from('b0'), 255], 108);
  wire.set([12, 1, ...Buffer.from('1'), 15, 3, ...Buffer.from('lab'), 255], 44);
  const decoded = decodeDhcp(wire);
  assert.equal(decoded.options.get(12)?.toString(), 'web01');
  assert.equal(decoded.options.get(15)?.toString(), 'lab');
  assert.equal(decoded.options.has(DHCP_OPTION.overload), false);
  assert.deepEqual([decoded.sname, decoded.file], ['', '']);
});

test('a field that does not fit is an error that says which', () => {
  assert.throws(() => encodeDhcp({ ...sample, file: 'x'.repeat(129) }), {
    code: 'DHCP_UNENCODABLE',
    message: /file "xxx/,
  });
  assert.throws(() => encodeDhcp({ ...sample, options: new Map([[DHCP_OPTION.overload, Buffer.of(1)]]) }), {
    code: 'DHCP_UNENCODABLE',
  });
});

function survives(input: Uint8Array): void {
  try {
    decodeDhcp(input);
  } catch (error) {
    assert.equal(errorCode(error), 'DHCP_MALFORMED', String(error));
  }
}
