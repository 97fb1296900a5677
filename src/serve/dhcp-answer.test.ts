import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from '../net/dhcp.ts';
import { DHCP_MESSAGE, DHCP_OPTION, readAddress } from '../net/dhcp-options.ts';
import { ipv4ToBytes } from '../net/ipv4.ts';
import { answerDhcp, maxReplySize } from './dhcp-answer.ts';
import type { DhcpDecision, DhcpFacts, DhcpOffer, DhcpPolicy, DhcpQuestion } from './dhcp-answer.ts';
import { dhcpClient } from './dhcp-client.ts';

const SERVER = '10.0.0.1';
const OFFER: DhcpOffer = {
  address: '10.0.0.11',
  subnetMask: '255.255.255.0',
  router: '10.0.0.254',
  dns: ['10.0.0.1', '10.0.0.2'],
  hostName: 'web01',
  domainName: 'lab.example',
  leaseSeconds: 3600,
  bootFile: 'undionly.kpxe',
};
const AT_67: DhcpFacts = { addresses: [SERVER], port: 67 };
const AT_4011: DhcpFacts = { addresses: [SERVER], port: 4011 };
const MAC = '52:54:00:00:00:0b';
const policy: DhcpPolicy = (client) => (client.mac === MAC ? OFFER : undefined);

type Options = Partial<Record<keyof typeof DHCP_OPTION, Buffer>>;

function request(type: keyof typeof DHCP_MESSAGE, options: Options = {}, fields: Partial<DhcpPacket> = {}) {
  const packet: DhcpPacket = {
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 1,
    xid: 0x12345678,
    secs: 4,
    flags: 0x8000,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: '0.0.0.0',
    giaddr: '0.0.0.0',
    chaddr: Buffer.concat([Buffer.from(MAC.replaceAll(':', ''), 'hex'), Buffer.alloc(10)]),
    sname: '',
    file: '',
    options: new Map([[DHCP_OPTION.messageType, Buffer.of(DHCP_MESSAGE[type])]]),
    ...fields,
  };
  for (const [name, code] of Object.entries(DHCP_OPTION)) {
    const value = Object.entries(options).find(([key]) => key === name)?.[1];
    if (value !== undefined) packet.options.set(code, value);
  }
  return packet;
}

/** The reply as a client reads it from the wire. */
function reply(packet: DhcpPacket, offered: DhcpDecision = OFFER, facts = AT_67): DhcpPacket {
  const answer = answerDhcp(packet, facts, () => offered);
  assert.ok('reply' in answer, answer.kind);
  return decodeDhcp(encodeDhcp(answer.reply, { maxSize: maxReplySize(packet) }));
}

const kind = (packet: DhcpPacket): string => answerDhcp(packet, AT_67, policy).kind;
const option = (packet: DhcpPacket, name: keyof typeof DHCP_OPTION): Buffer | undefined =>
  packet.options.get(DHCP_OPTION[name]);
const seconds = (packet: DhcpPacket, name: keyof typeof DHCP_OPTION): number | undefined =>
  option(packet, name)?.readUInt32BE(0);
const mine = { serverIdentifier: ipv4ToBytes(SERVER) };
const size = (bytes: number): Options => ({ maxMessageSize: Buffer.of(bytes >> 8, bytes & 255) });
const ipxe = (...bytes: number[]): Options => ({ ipxe: Buffer.of(...bytes) });
const wanted = (address: string): Options => ({ requestedAddress: ipv4ToBytes(address) });

test('an OFFER carries the address and all that the machine needs for its network', () => {
  const offer = reply(request('discover'));
  assert.deepEqual([...(option(offer, 'messageType') ?? [])], [DHCP_MESSAGE.offer]);
  assert.equal(offer.yiaddr, '10.0.0.11');
  assert.deepEqual([offer.op, offer.xid, offer.flags, offer.secs, offer.hops], [2, 0x12345678, 0x8000, 0, 0]);
  assert.equal(readAddress(option(offer, 'serverIdentifier')), SERVER);
  assert.equal(readAddress(option(offer, 'subnetMask')), '255.255.255.0');
  assert.equal(readAddress(option(offer, 'broadcastAddress')), '10.0.0.255');
  assert.equal(readAddress(option(offer, 'router')), '10.0.0.254');
  assert.deepEqual([...(option(offer, 'dns') ?? [])], [10, 0, 0, 1, 10, 0, 0, 2]);
  assert.equal(String(option(offer, 'hostName')), 'web01');
  assert.equal(String(option(offer, 'domainName')), 'lab.example');
});

test('DHCP-1: the maximum size of option 57 is obeyed, less 28 bytes of headers, and never below 548', () => {
  assert.equal(maxReplySize(request('discover', size(1400))), 1372);
  assert.equal(maxReplySize(request('discover', size(100))), 548);
  assert.equal(maxReplySize(request('discover', size(65535))), 1472);
  assert.equal(maxReplySize(request('discover')), 548);
});

test('DHCP-3: ciaddr is zero when a DISCOVER or option 50 makes it doubtful, else repeated', () => {
  const ciaddr = { ciaddr: '10.0.0.11' };
  assert.equal(reply(request('discover', {}, ciaddr)).ciaddr, '0.0.0.0');
  assert.equal(reply(request('request', wanted('10.0.0.11'), ciaddr)).ciaddr, '0.0.0.0');
  assert.equal(reply(request('request', {}, ciaddr)).ciaddr, '10.0.0.11');
});

test('DHCP-4: option 82 comes back as it was, last', () => {
  const relayAgent = Buffer.from('\x01\x04eth0');
  const offer = reply(request('discover', { relayAgent }, { giaddr: '10.0.0.250' }));
  assert.equal(offer.giaddr, '10.0.0.250');
  assert.deepEqual([...offer.options].at(-1), [DHCP_OPTION.relayAgent, relayAgent]);
});

test('DHCP-5: T1 and T2 stand in the OFFER and in the ACK', () => {
  for (const packet of [request('discover'), request('request', { ...mine, ...wanted('10.0.0.11') })]) {
    const answer = reply(packet);
    assert.equal(seconds(answer, 'leaseTime'), 3600);
    assert.equal(seconds(answer, 'renewalTime'), 1800);
    assert.equal(seconds(answer, 'rebindingTime'), 3150);
  }
});

test('DHCP-6: a REQUEST that carries another server is neither refused nor answered', () => {
  const other = { serverIdentifier: ipv4ToBytes('10.0.0.2') };
  assert.equal(kind(request('request', { ...other, ...wanted('10.0.0.11') })), 'other-server');
  assert.equal(kind(request('request', { ...other, ...wanted('10.0.0.99') })), 'other-server');
  assert.equal(kind(request('release', other)), 'ignored');
});

test('DHCP-6: a REQUEST meant for us is acknowledged when it asks for the right address, else refused', () => {
  assert.equal(kind(request('request', { ...mine, ...wanted('10.0.0.11') })), 'ack');
  assert.equal(kind(request('request', { ...mine, ...wanted('10.0.0.99') })), 'nak');
  assert.equal(kind(request('request', wanted('10.0.0.11'))), 'ack', 'INIT-REBOOT');
  assert.equal(kind(request('request', wanted('192.168.1.5'))), 'nak', 'INIT-REBOOT');
  assert.equal(kind(request('request', {}, { ciaddr: '10.0.0.11' })), 'ack', 'RENEWING');
  assert.equal(kind(request('request', {}, { ciaddr: '10.0.0.99' })), 'nak', 'RENEWING');
  assert.equal(kind(request('request')), 'nak', 'asks for nothing');
});

test('DHCP-6: a NAK says why and hands out nothing', () => {
  const nak = reply(request('request', { ...mine, ...wanted('10.0.0.99') }));
  assert.equal(String(option(nak, 'message')), '10.0.0.99 is not yours, 10.0.0.11 is');
  assert.deepEqual([nak.yiaddr, nak.ciaddr, nak.siaddr, nak.file], ['0.0.0.0', '0.0.0.0', '0.0.0.0', '']);
  assert.equal(option(nak, 'leaseTime'), undefined);
});

test('DHCP-6: a machine that the policy does not know hears nothing, not even a NAK', () => {
  const chaddr = Buffer.alloc(16, 0xee);
  for (const type of ['discover', 'request', 'inform'] as const) {
    assert.equal(kind(request(type, wanted('10.0.0.99'), { chaddr })), 'unknown');
  }
});

test('DHCP-7: whatever client identifier a machine sends, it has one address', () => {
  const identifiers = [undefined, Buffer.from('\x01RRRRRR'), Buffer.from('\xff1234', 'latin1')];
  for (const clientIdentifier of identifiers) {
    const offer = reply(request('discover', clientIdentifier === undefined ? {} : { clientIdentifier }));
    assert.equal(offer.yiaddr, '10.0.0.11');
    assert.deepEqual(option(offer, 'clientIdentifier'), clientIdentifier);
  }
});

test('DHCP-8: INFORM is answered without address or lease; DECLINE and RELEASE are noted', () => {
  const ack = reply(request('inform', {}, { ciaddr: '10.0.0.77' }));
  assert.deepEqual([ack.yiaddr, ack.ciaddr], ['0.0.0.0', '10.0.0.77']);
  assert.equal(option(ack, 'leaseTime'), undefined);
  assert.equal(readAddress(option(ack, 'router')), '10.0.0.254');
  const declined = answerDhcp(request('decline', { ...mine, ...wanted('10.0.0.11') }), AT_67, policy);
  assert.deepEqual(declined, { kind: 'declined', address: '10.0.0.11' });
  const released = answerDhcp(request('release', mine, { ciaddr: '10.0.0.11' }), AT_67, policy);
  assert.deepEqual(released, { kind: 'released', address: '10.0.0.11' });
});

test('replies of other servers, and BOOTP without a message type, are ignored', () => {
  assert.equal(kind(request('discover', {}, { op: 2 })), 'ignored');
  assert.equal(kind(request('offer')), 'ignored');
  assert.equal(kind(request('discover', {}, { options: new Map() })), 'ignored');
});

test('PXE-10: the policy sees the whole list of architectures', () => {
  assert.deepEqual(dhcpClient(request('discover', { clientArch: Buffer.of(0, 7, 0, 16) })).arch, [7, 16]);
});

test('PXE-11: a PXE client is told to boot directly, so it never asks port 4011', () => {
  const offer = reply(request('discover', { vendorClass: Buffer.from('PXEClient:Arch:00007:UNDI:003016') }));
  assert.equal(String(option(offer, 'vendorClass')), 'PXEClient');
  assert.deepEqual([...(option(offer, 'vendorSpecific') ?? [])], [6, 1, 8, 255]);
  assert.equal(option(reply(request('discover')), 'vendorClass'), undefined, 'not to others');
});

test('PXE-14: a GUID is echoed when it is one; a malformed one does not keep the machine from booting', () => {
  const guid = Buffer.concat([Buffer.of(0), Buffer.alloc(16, 0xab)]);
  assert.deepEqual(option(reply(request('discover', { clientGuid: guid })), 'clientGuid'), guid);
  const offer = reply(request('discover', { clientGuid: guid.subarray(1) }));
  assert.equal(option(offer, 'clientGuid'), undefined);
  assert.equal(offer.yiaddr, '10.0.0.11');
});

test('PXE-15: the boot file stands in the header and, NUL-terminated, in option 67', () => {
  const offer = reply(request('discover'));
  assert.deepEqual([offer.file, offer.siaddr], ['undionly.kpxe', SERVER]);
  assert.equal(String(option(offer, 'bootFileName')), 'undionly.kpxe\0');
  assert.equal(String(option(offer, 'tftpServerName')), `${SERVER}\0`);
  const elsewhere = reply(request('discover'), { ...OFFER, nextServer: '10.0.0.3' });
  assert.deepEqual(
    [elsewhere.siaddr, String(option(elsewhere, 'tftpServerName'))],
    ['10.0.0.3', '10.0.0.3\0'],
  );
});

test('PXE-15: a URL too long for the header stands in option 67 whole', () => {
  const bootFile = `http://10.0.0.1/boot/${'x'.repeat(120)}`;
  const offer = reply(request('discover'), { ...OFFER, bootFile });
  assert.equal(offer.file, '');
  assert.equal(String(option(offer, 'bootFileName')), `${bootFile}\0`);
});

test('PXE-16: iPXE is known by its user class or its option 175, and whether it has HTTP', () => {
  assert.deepEqual(facts({}), [false, false]);
  assert.deepEqual(facts({ userClass: Buffer.from('iPXE') }), [true, false]);
  assert.deepEqual(facts(ipxe(0xb1, 5, 1, 0x80, 0x86, 0x10, 0x0e, 0x13, 1, 1, 0x15, 1, 1)), [true, true]);
  assert.deepEqual(facts(ipxe(0x15, 1, 1)), [true, false]);
  const own = dhcpClient(request('discover', { userClass: Buffer.from('\x04iPXE\x09bladeroot') }));
  assert.deepEqual(own.userClass, ['iPXE', 'bladeroot']);
});

test('PXE-17: iPXE, and only iPXE, is spared its wait for a proxy', () => {
  const offer = reply(request('discover', { userClass: Buffer.from('iPXE') }));
  assert.deepEqual([...(option(offer, 'ipxe') ?? [])], [0xb0, 1, 1, 255]);
  assert.equal(option(reply(request('discover')), 'ipxe'), undefined);
});

function facts(options: Options): [boolean, boolean] {
  const client = dhcpClient(request('discover', options));
  return [client.isIpxe, client.ipxeHasHttp];
}

/** What the policy is asked. */
function questionOf(packet: DhcpPacket): DhcpQuestion | undefined {
  let asked: DhcpQuestion | undefined;
  answerDhcp(packet, AT_67, (question) => {
    asked = question;
    return undefined;
  });
  return asked;
}

const suboption = (code: number, address: string): Buffer =>
  Buffer.concat([Buffer.of(code, 4), ipv4ToBytes(address)]);

test('DHCP-4: a question is about the subnet of the relay, of sub-option 82.5, or of option 118', () => {
  const giaddr = { giaddr: '10.5.0.1' };
  const relayAgent = Buffer.concat([Buffer.from('\x01\x04eth0'), suboption(5, '10.6.0.0')]);
  assert.equal(questionOf(request('discover'))?.link, undefined);
  assert.equal(questionOf(request('discover', {}, giaddr))?.link, '10.5.0.1');
  assert.equal(questionOf(request('discover', { relayAgent }, giaddr))?.link, '10.6.0.0');
  const subnetSelection = ipv4ToBytes('10.7.0.0');
  assert.equal(questionOf(request('discover', { relayAgent, subnetSelection }, giaddr))?.link, '10.7.0.0');
  assert.deepEqual(
    option(reply(request('discover', { subnetSelection })), 'subnetSelection'),
    subnetSelection,
  );
});

test('DHCP-4: a relay that overrides the server identifier is named in the reply, and in the REQUEST stands for us', () => {
  const relayAgent = suboption(11, '10.5.0.1');
  const giaddr = { giaddr: '10.5.0.1' };
  const offer = reply(request('discover', { relayAgent }, giaddr));
  assert.equal(readAddress(option(offer, 'serverIdentifier')), '10.5.0.1');
  assert.equal(offer.siaddr, SERVER, 'TFTP is with us all the same');
  const serverIdentifier = ipv4ToBytes('10.5.0.1');
  const asked = request('request', { relayAgent, serverIdentifier, ...wanted('10.0.0.11') }, giaddr);
  assert.equal(kind(asked), 'ack');
  assert.equal(kind(request('request', { serverIdentifier, ...wanted('10.0.0.11') })), 'other-server');
});

test('DHCP-4: what relays send round in a circle ends', () => {
  assert.equal(kind(request('discover', {}, { hops: 16 })), 'offer');
  assert.equal(kind(request('discover', {}, { hops: 17 })), 'ignored');
});

test('DHCP-5: a NAK through a relay has the broadcast flag', () => {
  const fields = { giaddr: '10.0.0.250', flags: 0 };
  assert.equal(reply(request('request', wanted('10.0.0.99'), fields)).flags, 0x8000);
  assert.equal(reply(request('request', wanted('10.0.0.99'), { flags: 0 })).flags, 0);
});

const kindOf = (packet: DhcpPacket, decision: DhcpDecision): string =>
  answerDhcp(packet, AT_67, () => decision).kind;

test('DHCP-6: who comes back with an address that may be from another server hears nothing of a lent one', () => {
  const lent: DhcpOffer = { ...OFFER, lentBy: 'main' };
  assert.equal(kindOf(request('request', wanted('10.0.0.99')), lent), 'ignored', 'INIT-REBOOT');
  assert.equal(kindOf(request('request', {}, { ciaddr: '10.0.0.99' }), lent), 'ignored', 'RENEWING');
  assert.equal(kindOf(request('request', { ...mine, ...wanted('10.0.0.99') }), lent), 'nak', 'SELECTING');
  assert.equal(kindOf(request('request', wanted('10.0.0.99')), { ...lent, refuses: true }), 'nak');
  assert.equal(kindOf(request('request', wanted('10.0.0.11')), lent), 'ack');
});

test('DHCP-9: a server with several addresses on a wire is meant by each, and speaks by the one of the network', () => {
  const facts: DhcpFacts = { addresses: [SERVER, '10.1.0.1'], port: 67 };
  const offer = reply(request('discover'), { ...OFFER, server: '10.1.0.1' }, facts);
  assert.equal(readAddress(option(offer, 'serverIdentifier')), '10.1.0.1');
  assert.equal(offer.siaddr, '10.1.0.1');
  const named = { serverIdentifier: ipv4ToBytes('10.1.0.1'), ...wanted('10.0.0.11') };
  assert.equal(answerDhcp(request('request', named), facts, policy).kind, 'ack');
});

const PROXY = { proxy: true, bootFile: 'undionly.kpxe' } as const;
const biosRom = { vendorClass: Buffer.from('PXEClient:Arch:00000:UNDI:002001'), clientArch: Buffer.of(0, 0) };
const uefiRom = { vendorClass: Buffer.from('PXEClient:Arch:00007:UNDI:003016'), clientArch: Buffer.of(0, 7) };
const httpBoot = {
  vendorClass: Buffer.from('HTTPClient:Arch:00016:UNDI:003001'),
  clientArch: Buffer.of(0, 16),
};

test('PXE-12: a proxy offers a boot file and no address, to those who boot from the network alone', () => {
  const offer = reply(request('discover', biosRom), PROXY);
  assert.deepEqual([offer.yiaddr, offer.siaddr, offer.file], ['0.0.0.0', SERVER, 'undionly.kpxe']);
  assert.deepEqual([...(option(offer, 'messageType') ?? [])], [DHCP_MESSAGE.offer]);
  assert.equal(String(option(offer, 'vendorClass')), 'PXEClient');
  for (const name of ['leaseTime', 'subnetMask', 'router', 'dns'] as const) {
    assert.equal(option(offer, name), undefined, name);
  }
  assert.equal(kindOf(request('discover'), PROXY), 'ignored');
  assert.equal(kindOf(request('request', { ...biosRom, ...wanted('10.0.0.99') }), PROXY), 'ignored');
  assert.equal(kindOf(request('inform', biosRom), PROXY), 'ignored');
});

test('PXE-12: a proxy tells a BIOS to boot directly, and leaves option 43 out for UEFI, which then comes to 4011', () => {
  assert.deepEqual(
    [...(option(reply(request('discover', biosRom), PROXY), 'vendorSpecific') ?? [])],
    [6, 1, 8, 255],
  );
  assert.equal(option(reply(request('discover', uefiRom), PROXY), 'vendorSpecific'), undefined);
});

test('PXE-11: on port 4011 the answer is an ACK with a boot file, whoever the REQUEST names and whoever gave the address', () => {
  const other = { serverIdentifier: ipv4ToBytes('10.0.0.2') };
  for (const decision of [PROXY, OFFER]) {
    const ack = reply(
      request('request', { ...uefiRom, ...other }, { ciaddr: '10.0.0.77' }),
      decision,
      AT_4011,
    );
    assert.deepEqual([...(option(ack, 'messageType') ?? [])], [DHCP_MESSAGE.ack]);
    assert.deepEqual([ack.yiaddr, ack.ciaddr, ack.file], ['0.0.0.0', '10.0.0.77', 'undionly.kpxe']);
    assert.equal(String(option(ack, 'bootFileName')), 'undionly.kpxe\0');
    assert.equal(option(ack, 'leaseTime'), undefined);
  }
  assert.equal(answerDhcp(request('request'), AT_4011, () => PROXY).kind, 'ignored', 'no PXE client');
});

test('PXE-13: UEFI HTTP boot finds its own class and the URL in the reply, from a server and from a proxy', () => {
  const bootFile = 'http://10.0.0.1:8067/boot/loaders/snponly.efi';
  for (const decision of [
    { ...PROXY, bootFile },
    { ...OFFER, bootFile },
  ]) {
    const offer = reply(request('discover', httpBoot), decision);
    assert.equal(String(option(offer, 'vendorClass')), 'HTTPClient');
    assert.equal(String(option(offer, 'bootFileName')), `${bootFile}\0`);
    assert.equal(option(offer, 'vendorSpecific'), undefined);
  }
});

test('a packet that is not from Ethernet is ignored', () => {
  assert.equal(kind(request('discover', {}, { hlen: 16 })), 'ignored');
  assert.equal(kind(request('discover', {}, { hlen: 0 })), 'ignored');
});
