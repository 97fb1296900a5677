/** What a root says to real firmware and real clients: their captured requests, through codec, policy and codec again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planBootFile } from '../boot/plan.ts';
import { readCaptures } from '../net/captures.fixture.ts';
import { decodeDhcp, encodeDhcp } from '../net/dhcp.ts';
import { DHCP_MESSAGE, DHCP_OPTION, readOptionText } from '../net/dhcp-options.ts';
import { answerDhcp, maxReplySize, type DhcpPolicy } from './dhcp-answer.ts';
import { messageType } from './dhcp-client.ts';

/** The root's address where the captures were made. */
const ROOT = '10.77.0.1';
const SCRIPT = `http://${ROOT}:8067/boot/web01/script.ipxe`;

/** Everybody is a blade, and has the address that it asks for. */
const policy: DhcpPolicy = (question) => {
  const file = planBootFile(question);
  return {
    address: question.wants ?? '10.77.0.40',
    subnetMask: '255.255.255.0',
    dns: [],
    hostName: 'web01',
    leaseSeconds: 3600,
    ...(file.kind === 'script' ? { bootFile: SCRIPT } : {}),
    ...(file.kind === 'loader' ? { bootFile: file.name } : {}),
    ...(file.kind === 'url' ? { bootFile: `http://${ROOT}:8067${file.path}` } : {}),
  };
};

/** What each gets in its conversation: the boot file, option 60, option 43 in hex. */
const PXE_BIOS = 'undionly.kpxe PXEClient 060108ff';
const SCRIPT_NOW = `${SCRIPT} PXEClient 060108ff`;
const EXPECTED: Record<string, string[]> = {
  dhclient: ['undionly.kpxe - -'],
  dhcpcd: ['undionly.kpxe - -'],
  'ipxe-efi-rom': [SCRIPT_NOW],
  'ipxe-rom': [SCRIPT_NOW],
  'ovmf-http': [`http://${ROOT}:8067/boot/loaders/snponly.efi HTTPClient -`, SCRIPT_NOW],
  'ovmf-pxe': ['snponly.efi PXEClient 060108ff', SCRIPT_NOW],
  'plain-rom': [PXE_BIOS, SCRIPT_NOW],
  udhcpc: ['undionly.kpxe - -'],
};

const captures = readCaptures();

test('there is a capture of each kind of client', () => {
  assert.deepEqual(
    captures.map(({ client }) => client),
    Object.keys(EXPECTED),
  );
});

for (const { client, dhcp } of captures) {
  test(`${client} gets an offer, its address, and what it can boot`, () => {
    const told: string[] = [];
    for (const bytes of dhcp) {
      const request = decodeDhcp(bytes);
      const answer = answerDhcp(request, { addresses: [ROOT], port: 67 }, policy);
      assert.ok('reply' in answer);
      const asks = messageType(request);
      assert.equal(answer.kind, asks === DHCP_MESSAGE.discover ? 'offer' : 'ack');
      const sent = encodeDhcp(answer.reply, { maxSize: maxReplySize(request) });
      assert.ok(sent.length >= 300 && sent.length <= maxReplySize(request));
      const { xid, yiaddr, chaddr, options } = decodeDhcp(sent);
      assert.equal(xid, request.xid);
      assert.deepEqual(chaddr, request.chaddr);
      assert.match(yiaddr, /^10\.77\.0\.4\d$/);
      assert.deepEqual(options.get(DHCP_OPTION.clientGuid), request.options.get(DHCP_OPTION.clientGuid));
      const file = readOptionText(options.get(DHCP_OPTION.bootFileName)) ?? '-';
      const vendor = readOptionText(options.get(DHCP_OPTION.vendorClass)) ?? '-';
      const specific = options.get(DHCP_OPTION.vendorSpecific)?.toString('hex') ?? '-';
      told.push(`${file} ${vendor} ${specific}`);
    }
    assert.deepEqual([...new Set(told)], EXPECTED[client]);
  });
}
