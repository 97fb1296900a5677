import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { sampleStatement } from '../release/release.fixture.ts';
import type { ReleaseNetwork, ReleaseStatement } from '../release/statement.ts';
import { chooseInterfaces } from './interface.ts';

/** A release for one blade with that address. */
function releaseFor(address: string, netmask: string): ReleaseStatement {
  const { blades } = sampleStatement();
  return sampleStatement({ blades: blades.slice(0, 1).map((blade) => ({ ...blade, address, netmask })) });
}

const LOOPBACK = releaseFor('127.9.9.9', '255.0.0.0');
// RFC 5737: no machine has an address there.
const ELSEWHERE = releaseFor('203.0.113.7', '255.255.255.0');

test("the interface in the fleet's subnet is found, by its name and without one", () => {
  for (const names of [['lo'], []]) {
    const found = chooseInterfaces(names, LOOPBACK).map(({ name, addresses }) => [name, addresses]);
    assert.deepEqual(found, [['lo', ['127.0.0.1']]]);
  }
});

test('an interface that does not exist is named, with those that there are', () => {
  assert.throws(() => chooseInterfaces(['lo', 'nosuch0'], LOOPBACK), {
    code: 'NO_INTERFACE',
    message: /nosuch0/,
    hint: `there are: ${Object.keys(networkInterfaces()).join(', ')}`,
  });
});

test("an interface with no address in the fleet's subnet is an error with the subnet in it", () => {
  assert.throws(() => chooseInterfaces(['lo'], ELSEWHERE), {
    code: 'INTERFACE_ADDRESS',
    message: "interface lo has no address in the fleet's subnet (203.0.113.0/24)",
  });
  assert.throws(() => chooseInterfaces([], ELSEWHERE), {
    code: 'INTERFACE_ADDRESS',
    message: /^no interface has an address/,
  });
});

test('a release without blades has nothing to be served on', () => {
  assert.throws(() => chooseInterfaces([], sampleStatement({ blades: [] })), {
    code: 'NO_BLADES',
    hint: /fleet\.yaml/,
  });
});

test('a release without blades is served where machines can come to be adopted', () => {
  const network: ReleaseNetwork = { name: 'main', subnet: '127.0.0.0/8', dns: [], mode: 'server' };
  const pool = { from: '127.0.5.1', to: '127.0.5.9' };
  const found = chooseInterfaces([], sampleStatement({ blades: [], networks: [{ ...network, pool }] }));
  assert.deepEqual(
    found.map(({ name, networks }) => [name, networks.map((one) => one.name)]),
    [['lo', ['main']]],
  );
  assert.throws(() => chooseInterfaces([], sampleStatement({ blades: [], networks: [network] })), {
    code: 'NO_BLADES',
  });
});
