import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bladeIndex } from '../release/blade-index.ts';
import { sampleStatement } from '../release/release.fixture.ts';
import type { ReleaseNetwork } from '../release/statement.ts';
import type { DhcpDecision, DhcpOffer, DhcpQuestion } from '../serve/dhcp-answer.ts';
import type { AddressPool } from '../state/leases.ts';
import { decideDhcp, dhcpEvent, shouldBeAlone, type PoolLeases, type WireFacts } from './dhcp-policy.ts';
import { fleetNetworks } from './fleet-networks.ts';

const MAIN: ReleaseNetwork = {
  name: 'main',
  subnet: '10.77.0.0/24',
  dns: [],
  mode: 'server',
  pool: { from: '10.77.0.1', to: '10.77.0.254' },
};
const RACK2: ReleaseNetwork = {
  name: 'rack2',
  subnet: '10.78.0.0/16',
  gateway: '10.78.0.1',
  dns: ['10.78.0.2'],
  domain: 'lab.example',
  mode: 'server',
  pool: { from: '10.78.1.1', to: '10.78.1.9' },
};
const BLADE = '52:54:00:77:00:11';
const STRANGER = '52:54:00:77:00:99';

/** Lends what the pool's own rule leaves of the addresses that it is told to have. */
class FewLeases implements PoolLeases {
  last: string | undefined;
  readonly #free: string[];

  constructor(...free: string[]) {
    this.#free = free;
  }

  remembered(): string | undefined {
    return this.last;
  }

  offer(_mac: string, pool: AddressPool, wanted?: string): string | undefined {
    const free = this.#free.filter((address) => !pool.isTaken(address));
    return wanted !== undefined && free.includes(wanted) ? wanted : free[0];
  }

  isFree(address: string, _mac: string, pool: AddressPool): boolean {
    return this.#free.includes(address) && !pool.isTaken(address);
  }
}

function factsOf(networks: ReleaseNetwork[] = [MAIN], changes: Partial<WireFacts> = {}): WireFacts {
  const release = sampleStatement({ networks });
  const fleet = fleetNetworks(release);
  const { byMac } = bladeIndex(release);
  return {
    addresses: ['10.77.0.1'],
    allAddresses: ['10.77.0.1', '10.78.0.5'],
    fleet,
    bladeOf: (mac) => byMac.get(mac),
    leases: new FewLeases('10.77.0.200'),
    urlAt: (address) => `http://${address}:8067`,
    ...changes,
  };
}

function question(changes: Partial<DhcpQuestion> = {}): DhcpQuestion {
  const firmware = { arch: [0], vendorClass: 'PXEClient:Arch:00000', userClass: [], secs: 0 };
  const plain = { isIpxe: false, ipxeHasHttp: false, namesUs: false };
  return { mac: BLADE, ...firmware, ...plain, asks: 'discover', ...changes };
}

const ipxe = { isIpxe: true, ipxeHasHttp: true };

function offered(decision: DhcpDecision): DhcpOffer {
  assert.ok(decision !== undefined && 'address' in decision, JSON.stringify(decision));
  return decision;
}

function reasonOf(decision: DhcpDecision): string {
  assert.ok(decision !== undefined && 'silence' in decision, JSON.stringify(decision));
  return decision.reason;
}

test("a blade's firmware gets its fixed address and our loader", () => {
  assert.deepEqual(decideDhcp(question(), factsOf()), {
    address: '10.77.0.11',
    subnetMask: '255.255.255.0',
    dns: [],
    hostName: 'web01',
    leaseSeconds: 3600,
    bootFile: 'undionly.kpxe',
    server: '10.77.0.1',
  });
});

const fileFor = (changes: Partial<DhcpQuestion>): string | undefined =>
  offered(decideDhcp(question(changes), factsOf())).bootFile;

test('PXE-16: iPXE with HTTP gets the URL of its own script, a stranger that of all strangers; without HTTP our loader', () => {
  assert.equal(fileFor(ipxe), 'http://10.77.0.1:8067/boot/web01/script.ipxe');
  assert.equal(fileFor({ ...ipxe, mac: STRANGER }), 'http://10.77.0.1:8067/boot/unknown/script.ipxe');
  assert.equal(fileFor({ isIpxe: true }), 'undionly.kpxe');
});

test('PXE-13: UEFI HTTP boot gets a URL with a literal address, for a reserved blade too', () => {
  const http = { arch: [16], vendorClass: 'HTTPClient:Arch:00016:UNDI:003001' };
  const { bootFile } = offered(decideDhcp(question(http), factsOf()));
  assert.equal(bootFile, 'http://10.77.0.1:8067/boot/loaders/snponly.efi');
});

test('firmware for which there is no loader gets an address and no boot file', () => {
  const offer = offered(decideDhcp(question({ arch: [6] }), factsOf()));
  assert.equal(offer.address, '10.77.0.11');
  assert.equal('bootFile' in offer, false);
});

test('a release from before there were several networks serves its blades, and no one else', () => {
  const fleet = fleetNetworks(sampleStatement());
  const { byMac } = bladeIndex(sampleStatement());
  const facts = factsOf([], { fleet, bladeOf: (mac) => byMac.get(mac) });
  assert.equal(offered(decideDhcp(question(), facts)).address, '10.77.0.11');
  assert.equal(decideDhcp(question({ mac: STRANGER }), facts), undefined);
});

test('DHCP-7: a stranger gets an address of the pool: for moments while it boots, for longer when it waits', () => {
  const booting = offered(decideDhcp(question({ mac: STRANGER }), factsOf()));
  assert.deepEqual([booting.address, booting.leaseSeconds, booting.lentBy], ['10.77.0.200', 120, 'main']);
  const { vendorClass: _firmware, ...system } = question({ mac: STRANGER });
  assert.equal(offered(decideDhcp(system, factsOf())).leaseSeconds, 1800);
});

test('DHCP-8: the pool lends neither blades’ addresses nor those of router, name server, relay or root', () => {
  const own = ['10.78.0.1', '10.78.0.2', '10.78.0.5', '10.78.0.9', '10.78.0.0', '10.78.255.255'];
  const leases = new FewLeases(...own, '10.77.0.11', '10.78.1.3');
  const facts = factsOf([MAIN, RACK2], { leases });
  const offer = offered(decideDhcp(question({ mac: STRANGER, link: '10.78.0.9' }), facts));
  assert.equal(offer.address, '10.78.1.3');
});

test('DHCP-8: an exhausted pool is silence with a reason, and INFORM is answered without a lease', () => {
  const facts = factsOf([MAIN], { leases: new FewLeases() });
  const decision = decideDhcp(question({ mac: STRANGER }), facts);
  assert.equal(
    reasonOf(decision),
    'the pool 10.77.0.1 to 10.77.0.254 of network main has no free address; widen it in fleet.yaml',
  );
  const asks = { mac: STRANGER, asks: 'inform', has: '10.77.0.50' } as const;
  assert.equal(offered(decideDhcp(question(asks), facts)).subnetMask, '255.255.255.0');
});

test('DHCP-4: the pool, the router and the mask are those of the subnet behind the relay', () => {
  const facts = factsOf([MAIN, RACK2], { leases: new FewLeases('10.78.1.3') });
  const offer = offered(decideDhcp(question({ mac: STRANGER, link: '10.78.0.1' }), facts));
  assert.deepEqual(
    [offer.address, offer.lentBy, offer.subnetMask, offer.router, offer.dns, offer.domainName],
    ['10.78.1.3', 'rack2', '255.255.0.0', '10.78.0.1', ['10.78.0.2'], 'lab.example'],
  );
  assert.equal(offer.server, '10.77.0.1', 'by which the relay reaches us');
});

test('DHCP-4: who renews through a router is in the network of the address that it has', () => {
  const leases = new FewLeases('10.78.1.3');
  leases.last = '10.78.1.3';
  const renewing = { mac: STRANGER, asks: 'request', has: '10.78.1.3', wants: '10.78.1.3' } as const;
  assert.equal(offered(decideDhcp(question(renewing), factsOf([MAIN, RACK2], { leases }))).lentBy, 'rack2');
});

test('DHCP-4: a relay of no network of ours, and a blade far from its own, get silence with a reason', () => {
  const facts = factsOf([MAIN, RACK2]);
  assert.match(
    reasonOf(decideDhcp(question({ link: '10.99.0.1' }), facts)),
    /^a relay asks for .*10\.99\.0\.1/,
  );
  assert.equal(
    reasonOf(decideDhcp(question({ link: '10.78.0.1' }), facts)),
    'blade web01 asks from network rack2 (10.78.0.0/16), its address is 10.77.0.11 in network main (10.77.0.0/24); plug it in there, or change its address in fleet.yaml',
  );
});

test('DHCP-6: an address that is not of ours is not answered, one of ours from before a restart is confirmed', () => {
  const asks = { mac: STRANGER, asks: 'request' } as const;
  const facts = factsOf();
  assert.equal(decideDhcp(question({ ...asks, wants: '10.77.0.99' }), facts), undefined, 'INIT-REBOOT');
  assert.equal(
    decideDhcp(question({ ...asks, wants: '10.77.0.200' }), facts),
    undefined,
    'not known as ours',
  );
  const selecting = question({ ...asks, wants: '10.77.0.200', namesUs: true });
  assert.equal(offered(decideDhcp(selecting, facts)).address, '10.77.0.200');
});

test('DHCP-6: an address that became a blade’s own since is refused to who had it', () => {
  const leases = new FewLeases('10.77.0.11', '10.77.0.200');
  leases.last = '10.77.0.11';
  const renewing = question({ mac: STRANGER, asks: 'request', has: '10.77.0.11', wants: '10.77.0.11' });
  const offer = offered(decideDhcp(renewing, factsOf([MAIN], { leases })));
  assert.deepEqual([offer.address, offer.refuses], ['10.77.0.200', true]);
});

test('DHCP-9: on a wire with two networks each blade is spoken to by the address in its own', () => {
  const facts = factsOf([RACK2, MAIN], { addresses: ['10.78.0.5', '10.77.0.1'] });
  const offer = offered(decideDhcp(question(ipxe), facts));
  assert.equal(offer.server, '10.77.0.1');
  assert.equal(offer.bootFile, 'http://10.77.0.1:8067/boot/web01/script.ipxe');
});

test('PXE-12: in a network of mode proxy all get a boot file after the delay, and none an address; with off, silence', () => {
  const { pool: _pool, ...plain } = MAIN;
  const proxy = factsOf([{ ...plain, mode: 'proxy', proxyDelay: 300 }]);
  const told = { proxy: true, server: '10.77.0.1', delay: 300 };
  assert.deepEqual(decideDhcp(question(), proxy), { ...told, bootFile: 'undionly.kpxe' });
  const stranger = decideDhcp(question({ ...ipxe, mac: STRANGER }), proxy);
  assert.deepEqual(stranger, { ...told, bootFile: 'http://10.77.0.1:8067/boot/unknown/script.ipxe' });
  for (const mac of [BLADE, STRANGER]) {
    assert.equal(decideDhcp(question({ mac }), factsOf([{ ...plain, mode: 'off' }])), undefined);
  }
});

test('PXE-11: port 4011 tells what to boot and lends nothing, in a network of mode server too', () => {
  const facts = factsOf([MAIN], { leases: new FewLeases() });
  const asks = { asks: 'boot', has: '10.77.0.11' } as const;
  for (const mac of [BLADE, STRANGER]) {
    assert.deepEqual(decideDhcp(question({ ...asks, mac }), facts), {
      proxy: true,
      server: '10.77.0.1',
      bootFile: 'undionly.kpxe',
    });
  }
});

test('another server is a surprise only where this root is to be the only one', () => {
  const proxy: ReleaseNetwork = { ...RACK2, mode: 'proxy' };
  assert.equal(shouldBeAlone(question(), factsOf()), true);
  assert.equal(shouldBeAlone(question({ link: '10.78.0.1' }), factsOf([MAIN, proxy])), false);
  assert.equal(shouldBeAlone(question({ link: '10.99.0.1' }), factsOf()), false);
});

const bladeOf = factsOf().bladeOf;

test('events bear the name of the blade, and the address or the reason', () => {
  const mac = BLADE;
  const named = { mac, blade: 'web01' };
  assert.deepEqual(dhcpEvent({ type: 'dhcp.ack', mac, address: '10.77.0.11' }, bladeOf), {
    type: 'dhcp.ack',
    ...named,
    message: '10.77.0.11',
  });
  assert.deepEqual(dhcpEvent({ type: 'dhcp.nak', mac, reason: 'wrong subnet' }, bladeOf), {
    type: 'dhcp.nak',
    ...named,
    message: 'wrong subnet',
  });
  assert.deepEqual(
    dhcpEvent({ type: 'dhcp.unknown', mac: STRANGER, client: question({ mac: STRANGER }) }, bladeOf),
    { type: 'dhcp.unknown', mac: STRANGER, client: 'firmware' },
  );
  assert.deepEqual(
    dhcpEvent({ type: 'dhcp.decline', mac, client: question(), address: '10.77.0.11' }, bladeOf),
    {
      type: 'dhcp.decline',
      ...named,
      client: 'firmware',
      message: '10.77.0.11 is in use by another machine',
    },
  );
  const other = dhcpEvent(
    { type: 'dhcp.other-server', mac, address: '10.77.0.66', question: question() },
    bladeOf,
  );
  assert.equal(other !== undefined && 'address' in other && other.address, '10.77.0.66');
});

/** Who asks, by the event of a DISCOVER. */
function asked(client: Partial<DhcpQuestion>): unknown {
  const event = dhcpEvent({ type: 'dhcp.discover', mac: BLADE, client: question(client) }, () => undefined);
  return event !== undefined && 'client' in event ? event.client : undefined;
}

test('events say who asks: the firmware, iPXE (which says that it is firmware too), or a system', () => {
  assert.equal(asked({ vendorClass: 'PXEClient:Arch:00007:UNDI:003016' }), 'firmware');
  assert.equal(asked({ vendorClass: 'HTTPClient:Arch:00016:UNDI:003001' }), 'firmware');
  assert.equal(asked({ vendorClass: 'PXEClient:Arch:00000:UNDI:002001', isIpxe: true }), 'ipxe');
  assert.equal(asked({ vendorClass: 'udhcp 1.35.0' }), 'system');
});

test('what is no doing of a machine is no event of the fleet', () => {
  assert.equal(dhcpEvent({ type: 'dhcp.malformed', from: '10.77.0.9', reason: 'short' }, bladeOf), undefined);
  assert.equal(dhcpEvent({ type: 'dhcp.failed', mac: BLADE, reason: 'no route' }, bladeOf), undefined);
});
