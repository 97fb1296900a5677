/** Proxy mode: the addresses are another DHCP server's affair, and the machines boot from us all the same. */
import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { FirmwareLab, NEAR, LOADED } from '../stories/firmware.fixture.ts';

const OTHER = { host: 'other', address: '10.77.0.2' };
/** Not the blades' own addresses: what is lent here comes from the other server, and from nobody else. */
const POOL = { first: '10.77.0.101', last: '10.77.0.150' };

let firmware: FirmwareLab;
const over = new AbortController();

before(async () => {
  firmware = await FirmwareLab.create({
    name: 'proxy',
    signal: over.signal,
    fleet: `network:\n  subnet: ${NEAR.subnet}\n  mode: proxy\n`,
    hosts: [{ name: OTHER.host, address: `${OTHER.address}/24` }],
    blades: [
      {
        name: 'chained',
        mac: '52:54:00:77:03:01',
        address: '10.77.0.31',
        machine: { netboot: 'chained-ipxe' },
      },
      {
        name: 'pxe',
        mac: '52:54:00:77:03:02',
        address: '10.77.0.32',
        machine: { firmware: 'uefi', netboot: 'uefi-pxe' },
      },
      { name: 'rom', mac: '52:54:00:77:03:03', address: '10.77.0.33' },
      {
        name: 'http',
        mac: '52:54:00:77:03:04',
        address: '10.77.0.34',
        machine: { firmware: 'uefi', netboot: 'uefi-http' },
      },
    ],
  });
  await firmware.serve();
});

after(async () => {
  over.abort();
  await firmware.lab.down();
});

/** Boots one after the other beside the other server, each to the agent's hello. */
async function bootsBeside(names: string[], loader: RegExp): Promise<void> {
  for (const name of names) {
    const { loaders, stations, console } = await firmware.untilHello(name);
    assert.deepEqual(stations.slice(-LOADED.length), LOADED, name);
    assert.match(loaders.join(' '), loader);
    const [, address = 'none'] = /network: eth0 has ([\d.]+)/.exec(console) ?? [];
    assert.match(address, /^10\.77\.0\.1[0-5]\d$/, `${name} has an address of the other server's`);
  }
}

test('PXE-12: beside dnsmasq', async (t) => {
  const dnsmasq = await firmware.lab.startProgram('dnsmasq', {
    host: OTHER.host,
    program: 'dnsmasq',
    args: [
      ['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--interface=eth0', '--bind-interfaces'],
      ['--user=root', '--pid-file=', '--dhcp-authoritative', '--log-dhcp', '--log-facility=-'],
      [`--dhcp-leasefile=${join(firmware.lab.directory, 'dnsmasq.leases')}`],
      [`--dhcp-range=${POOL.first},${POOL.last},600`],
    ].flat(),
  });
  try {
    await t.test('BIOS with a plain ROM', async () => await bootsBeside(['chained'], /^undionly\.kpxe$/));
    await t.test("UEFI with the firmware's own PXE", async () => await bootsBeside(['pxe'], /\.efi$/));
  } finally {
    await dnsmasq.stop();
  }
});

test('PXE-12: beside Kea', async (t) => {
  const config = join(firmware.lab.directory, 'kea.json');
  const Dhcp4 = {
    'interfaces-config': { interfaces: ['eth0'], 'dhcp-socket-type': 'raw' },
    'lease-database': { type: 'memfile', persist: false },
    subnet4: [{ id: 1, subnet: NEAR.subnet, pools: [{ pool: `${POOL.first} - ${POOL.last}` }] }],
  };
  await writeFile(config, JSON.stringify({ Dhcp4 }));
  const kea = await firmware.lab.startProgram('kea', {
    host: OTHER.host,
    program: 'kea-dhcp4',
    args: ['-c', config],
    env: { KEA_PIDFILE_DIR: firmware.lab.directory, KEA_LOCKFILE_DIR: 'none' },
  });
  try {
    await t.test('BIOS with a ROM that is iPXE', async () => await bootsBeside(['rom'], /^$/));
    await t.test('UEFI HTTP boot', async () => await bootsBeside(['http'], /\.efi$/));
  } finally {
    await kea.stop();
  }
});
