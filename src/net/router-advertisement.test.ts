import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatMac } from './mac.ts';
import { noRouterAdvertisement } from './router-advertisement.ts';

const macs = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => formatMac(bytes));

test('it is an IPv6 packet to one card, and says that nobody is a router', () => {
  const packet = noRouterAdvertisement('52:54:00:00:00:0a', '52:54:00:00:00:0b');
  assert.equal(
    packet.toString('hex'),
    [
      // Payload of 16 bytes, ICMPv6, hop limit 255; from, and to.
      '6000000000103aff',
      'fe80000000000000505400fffe00000a',
      'fe80000000000000505400fffe00000b',
      // The type, the checksum, which is tested below, and nothing that is said.
      `8600${packet.toString('hex', 42, 44)}000000000000000000000000`,
    ].join(''),
  );
});

test('its checksum is right, whichever the cards: what is summed up with it is all ones (RFC 1071)', () => {
  fc.assert(
    fc.property(macs, macs, (from, to) => {
      const packet = noRouterAdvertisement(from, to);
      let sum = 16 + 58;
      for (let at = 8; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
      assert.equal(sum % 0xffff, 0);
    }),
  );
});
