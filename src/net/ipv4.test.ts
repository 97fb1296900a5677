import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { inSubnet, ipv4FromBytes, ipv4ToBytes, isIpv4, parseSubnet, subnetOf } from './ipv4.ts';

test('bytes become text and the same bytes again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      assert.deepEqual(new Uint8Array(ipv4ToBytes(ipv4FromBytes(bytes))), bytes);
    }),
  );
});

test('only four decimal parts are an address', () => {
  assert.ok(isIpv4('10.0.0.1'));
  for (const text of [
    '',
    '10.1',
    '10.0.0.256',
    '0x0a.0.0.1',
    '167772161',
    '::1',
    '10.0.0.1/24',
    '10.0.0.01',
    '10..0.1',
    '10.0.0.',
    '1.2.3.4.5',
  ]) {
    assert.equal(isIpv4(text), false, text);
    assert.throws(() => ipv4ToBytes(text), { code: 'BAD_ADDRESS' });
  }
});

test('a subnet is found from any address in it', () => {
  const subnet = { network: '10.1.2.0', broadcast: '10.1.3.255', mask: '255.255.254.0', prefix: 23 };
  assert.deepEqual(parseSubnet('10.1.3.7/23'), subnet);
  assert.deepEqual(subnetOf('10.1.3.7', '255.255.254.0'), subnet);
  assert.ok(inSubnet('10.1.2.255', subnet));
  assert.equal(inSubnet('10.1.4.0', subnet), false);
  assert.equal(inSubnet('nonsense', subnet), false);
});

test('subnets are reckoned as ipaddr.js does', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), fc.nat(32), (address, other, prefix) => {
      const cidr = `${address}/${prefix}`;
      const subnet = parseSubnet(cidr);
      const mask = ipaddr.IPv4.subnetMaskFromPrefixLength(prefix).toString();
      assert.deepEqual(subnet, {
        network: ipaddr.IPv4.networkAddressFromCIDR(cidr).toString(),
        broadcast: ipaddr.IPv4.broadcastAddressFromCIDR(cidr).toString(),
        mask,
        prefix,
      });
      assert.deepEqual(subnetOf(address, mask), subnet);
      assert.ok(inSubnet(address, subnet));
      assert.equal(
        inSubnet(other, subnet),
        ipaddr.IPv4.parse(other).match(ipaddr.IPv4.parse(address), prefix),
      );
    }),
  );
});

test('a mask with holes and a prefix beyond 32 are refused', () => {
  assert.throws(() => subnetOf('10.0.0.1', '255.0.255.0'), { code: 'BAD_ADDRESS' });
  assert.throws(() => parseSubnet('10.0.0.0/33'), { code: 'BAD_ADDRESS' });
});
