/** Every kind of firmware that a blade may have comes, by itself, to the agent that says hello: see docs/firmware-seen.md. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { FirmwareLab, LOADED } from './firmware.fixture.ts';

let firmware: FirmwareLab;
const over = new AbortController();

before(async () => {
  firmware = await FirmwareLab.create({
    name: 'firmware',
    signal: over.signal,
    blades: [
      {
        name: 'chained',
        mac: '52:54:00:77:01:01',
        address: '10.77.0.31',
        machine: { netboot: 'chained-ipxe' },
      },
      {
        name: 'pxe',
        mac: '52:54:00:77:01:02',
        address: '10.77.0.32',
        machine: { firmware: 'uefi', netboot: 'uefi-pxe' },
      },
      {
        name: 'http',
        mac: '52:54:00:77:01:03',
        address: '10.77.0.33',
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

test('PXE-16: BIOS with a ROM that is no iPXE loads ours by TFTP, and that goes on to the agent', async () => {
  const { loaders, stations } = await firmware.untilHello('chained');
  assert.deepEqual(loaders, ['undionly.kpxe']);
  assert.deepEqual(stations.slice(-LOADED.length), LOADED);
});

test("PXE-11: UEFI with the firmware's own PXE loads iPXE by TFTP, and that goes on to the agent", async () => {
  const { loaders, stations, ipxeWaitedSeconds = Infinity } = await firmware.untilHello('pxe');
  // Left alone, it looks for an IPv6 router for 16 s.
  assert.ok(ipxeWaitedSeconds < 10, `iPXE waited for ${ipxeWaitedSeconds} s`);
  assert.equal(loaders.length, 1);
  assert.match(loaders[0] ?? '', /\.efi$/);
  assert.deepEqual(stations.slice(-LOADED.length), LOADED);
});

test('PXE-13: UEFI HTTP boot loads iPXE by HTTP, and that goes on to the agent', async () => {
  const { loaders, stations } = await firmware.untilHello('http');
  assert.equal(loaders.length, 1);
  assert.match(loaders[0] ?? '', /\.efi$/);
  assert.deepEqual(stations.slice(-LOADED.length), LOADED);
});
