import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleStatement } from '../release/release.fixture.ts';
import type { DhcpClient } from '../serve/dhcp-answer.ts';
import { dhcpEvent, offerTo } from './dhcp-policy.ts';

const { blades } = sampleStatement();
const ROOT = 'http://10.77.0.1:8067';
const bios: DhcpClient = {
  mac: '52:54:00:77:00:11',
  arch: [0],
  userClass: [],
  isIpxe: false,
  ipxeHasHttp: false,
  secs: 0,
};

test("a blade's firmware gets its fixed address and our loader", () => {
  assert.deepEqual(offerTo(bios, blades, ROOT), {
    address: '10.77.0.11',
    subnetMask: '255.255.255.0',
    dns: [],
    hostName: 'web01',
    leaseSeconds: 3600,
    bootFile: 'undionly.kpxe',
  });
});

test("a blade's iPXE gets the URL of its own script", () => {
  const offer = offerTo({ ...bios, isIpxe: true, ipxeHasHttp: true }, blades, ROOT);
  assert.equal(offer?.bootFile, 'http://10.77.0.1:8067/boot/web01/script.ipxe');
});

test('firmware for which there is no loader gets an address and no boot file', () => {
  const offer = offerTo({ ...bios, arch: [11] }, blades, ROOT);
  assert.equal(offer?.address, '10.77.0.11');
  assert.equal(offer !== undefined && 'bootFile' in offer, false);
});

test('router, resolvers and domain are offered where the release has them', () => {
  const whole = blades.map((blade) => ({
    ...blade,
    gateway: '10.77.0.254',
    dns: ['10.77.0.2'],
    domain: 'lab.example',
  }));
  const { router, dns, domainName } = offerTo(bios, whole, ROOT) ?? {};
  assert.deepEqual(
    { router, dns, domainName },
    { router: '10.77.0.254', dns: ['10.77.0.2'], domainName: 'lab.example' },
  );
});

test('DHCP-6: a machine that is no blade gets no offer', () => {
  assert.equal(offerTo({ ...bios, mac: '52:54:00:77:00:99' }, blades, ROOT), undefined);
});

test('events bear the name of the blade, and the address or the reason', () => {
  const { mac } = bios;
  assert.deepEqual(dhcpEvent({ type: 'dhcp.ack', mac, address: '10.77.0.11' }, blades), {
    type: 'dhcp.ack',
    mac,
    blade: 'web01',
    message: '10.77.0.11',
  });
  assert.deepEqual(dhcpEvent({ type: 'dhcp.nak', mac, reason: 'wrong subnet' }, blades), {
    type: 'dhcp.nak',
    mac,
    blade: 'web01',
    message: 'wrong subnet',
  });
  const other = '52:54:00:77:00:99';
  assert.deepEqual(dhcpEvent({ type: 'dhcp.unknown', mac: other, client: bios }, blades), {
    type: 'dhcp.unknown',
    mac: other,
    client: 'system',
  });
});

/** Who asks, by the event of a DISCOVER. */
function asked(client: Partial<typeof bios> & { vendorClass?: string }): unknown {
  const event = dhcpEvent({ type: 'dhcp.discover', mac: bios.mac, client: { ...bios, ...client } }, blades);
  return event !== undefined && 'client' in event ? event.client : undefined;
}

test('events say who asks: the firmware, iPXE (which says that it is firmware too), or a system', () => {
  assert.equal(asked({ vendorClass: 'PXEClient:Arch:00007:UNDI:003016' }), 'firmware');
  assert.equal(asked({ vendorClass: 'HTTPClient:Arch:00016:UNDI:003001' }), 'firmware');
  assert.equal(asked({ vendorClass: 'PXEClient:Arch:00000:UNDI:002001', isIpxe: true }), 'ipxe');
  assert.equal(asked({ vendorClass: 'udhcp 1.35.0' }), 'system');
});

test('what is no doing of a machine is no event of the fleet', () => {
  assert.equal(dhcpEvent({ type: 'dhcp.malformed', from: '10.77.0.9', reason: 'short' }, blades), undefined);
  assert.equal(dhcpEvent({ type: 'dhcp.failed', mac: bios.mac, reason: 'no route' }, blades), undefined);
});
