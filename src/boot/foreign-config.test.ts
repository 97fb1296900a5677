/** What is printed for other DHCP servers is given to those servers' own checks. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { run } from '../system/run.ts';
import { BOOTABLE } from './firmware.ts';
import { FOREIGN_SERVERS, foreignConfig, type ForeignBoot, type ForeignServer } from './foreign-config.ts';

const URL = 'http://10.77.0.1:8067';
const SCRIPT = `${URL}/boot/\${netX/mac:hexhyp}/script.ipxe`;
const boot: ForeignBoot = {
  address: '10.77.0.1',
  url: URL,
  networks: [
    {
      name: 'main',
      subnet: '10.77.0.0/24',
      gateway: '10.77.0.254',
      dns: ['10.77.0.2', '10.77.0.3'],
      domain: 'lab.example',
      blades: [
        { name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11' },
        { name: 'mail01', mac: '52:54:00:77:00:21', address: '10.77.0.21' },
      ],
    },
    {
      name: 'rack2',
      subnet: '10.78.0.0/23',
      dns: [],
      blades: [{ name: 'web02', mac: '52:54:00:78:00:12', address: '10.78.1.12' }],
    },
  ],
};

/** How each server checks a file, without being started. */
const CHECKS: Record<ForeignServer, (file: string) => [program: string, args: string[]]> = {
  dnsmasq: (file) => ['dnsmasq', ['--test', '-C', file]],
  kea: (file) => ['kea-dhcp4', ['-t', file]],
  isc: (file) => ['dhcpd', ['-t', '-cf', file]],
};

/** A slip of the pen in each: its own check has to find it. */
const FAULTS: Record<ForeignServer, [right: string, wrong: string]> = {
  dnsmasq: ['dhcp-range=', 'dhcp-rnge='],
  kea: ['"subnet4"', '"subnet44"'],
  isc: ['fixed-address', 'fixed-adress'],
};

async function check(t: TestContext, server: ForeignServer, text: string): Promise<void> {
  const directory = await folderOf(t, { 'dhcp.conf': text });
  await run(...CHECKS[server](join(directory, 'dhcp.conf')));
}

for (const server of FOREIGN_SERVERS) {
  test(`${server} itself takes what is printed for it, for one network and for several`, async (t) => {
    await check(t, server, foreignConfig(server, boot));
    await check(t, server, foreignConfig(server, { ...boot, networks: boot.networks.slice(1) }));
    const empty = boot.networks.map((network) => ({ ...network, blades: [] }));
    await check(t, server, foreignConfig(server, { ...boot, networks: empty }));
  });

  test(`${server}: a fault in it is found, so that the check above says something`, async (t) => {
    const broken = foreignConfig(server, boot).replace(...FAULTS[server]);
    await assert.rejects(check(t, server, broken));
  });

  test(`${server} is told of every firmware, of iPXE's script, and of each blade's address`, () => {
    const text = foreignConfig(server, boot);
    assert.ok(text.includes(SCRIPT));
    for (const { arch, loader, http } of BOOTABLE) {
      assert.ok(text.includes(http ? `${URL}/boot/loaders/${loader}` : loader), `architecture ${arch}`);
    }
    assert.match(text, /HTTPClient/);
    for (const { name, mac, address } of boot.networks.flatMap(({ blades }) => blades)) {
      for (const said of [name, mac, address]) assert.ok(text.includes(said), said);
    }
  });
}

test('the architectures that have a loader are those of PCs and of ARM64, by TFTP and by HTTP', () => {
  assert.deepEqual(
    BOOTABLE.map(({ arch, loader, http }) => `${arch} ${loader} ${http ? 'http' : 'tftp'}`),
    [
      '0 undionly.kpxe tftp',
      '7 snponly.efi tftp',
      '9 snponly.efi tftp',
      '11 ipxe-arm64.efi tftp',
      '16 snponly.efi http',
      '19 ipxe-arm64.efi http',
      '20 undionly.kpxe http',
    ],
  );
});
