/** Machines behind a router: its relay agent brings their requests to the root, which has no foot in their network. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { FirmwareLab, LOADED, NEAR, ROOT } from '../stories/firmware.fixture.ts';

const ROUTER = { host: 'router', near: '10.77.0.2', far: '10.78.0.1' };
const FAR = '10.78.0.0/24';

let firmware: FirmwareLab;
const over = new AbortController();

before(async () => {
  firmware = await FirmwareLab.create({
    name: 'relay',
    signal: over.signal,
    fleet: [
      `network:\n  subnet: ${NEAR.subnet}`,
      `networks:\n  far: { subnet: ${FAR}, gateway: ${ROUTER.far} }\n`,
    ].join('\n'),
    hosts: [{ name: ROUTER.host, address: `${ROUTER.near}/24`, farAddress: `${ROUTER.far}/24` }],
    blades: [
      { name: 'bios', mac: '52:54:00:77:04:01', address: '10.78.0.31', machine: { segment: 'far' } },
      {
        name: 'uefi',
        mac: '52:54:00:77:04:02',
        address: '10.78.0.32',
        machine: { segment: 'far', firmware: 'uefi', netboot: 'uefi-pxe' },
      },
    ],
  });
  await firmware.lab.exec(ROOT, 'ip', ['route', 'add', FAR, 'via', ROUTER.near]);
  await firmware.serve();
  await firmware.lab.startProgram('dhcrelay', {
    host: ROUTER.host,
    program: 'dhcrelay',
    args: ['-4', '-d', '--no-pid', '-a', '-id', 'eth1', '-iu', 'eth0', NEAR.root],
  });
});

after(async () => {
  over.abort();
  await firmware.lab.down();
});

for (const name of ['bios', 'uefi']) {
  test(`DHCP-4: ${name}, two segments away through dhcrelay with option 82`, async () => {
    const { stations, console } = await firmware.untilHello(name);
    assert.deepEqual(stations.slice(-LOADED.length), LOADED);
    assert.match(console, /network: eth0 has 10\.78\.0\.3\d\/24/);
  });
}
