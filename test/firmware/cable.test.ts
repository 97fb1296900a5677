/** A machine at the end of a bad cable, which loses 5 % of the frames each way and delivers the others 20 ms late. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { FirmwareLab, LOADED } from '../stories/firmware.fixture.ts';

let firmware: FirmwareLab;
const over = new AbortController();
const cable = { loss: 0.05, delayMs: 20 };

before(async () => {
  firmware = await FirmwareLab.create({
    name: 'cable',
    signal: over.signal,
    blades: [
      { name: 'rom', mac: '52:54:00:77:05:01', address: '10.77.0.31', machine: { cable } },
      {
        name: 'chained',
        mac: '52:54:00:77:05:02',
        address: '10.77.0.32',
        machine: { cable, netboot: 'chained-ipxe' },
      },
    ],
  });
  await firmware.serve();
});

after(async () => {
  over.abort();
  await firmware.lab.down();
});

test('TFTP-20: 5 % loss and 20 ms delay: a machine comes to the agent all the same', async () => {
  const { stations } = await firmware.untilHello('rom');
  assert.deepEqual(stations.slice(-LOADED.length), LOADED);
});

// undionly.kpxe, which polls the ROM below it, takes minutes for the initrd on such a cable: TFTP is what matters here.
test('TFTP-20: 5 % loss and 20 ms delay: a plain ROM has its loader by TFTP, and that has its script', async () => {
  const { loaders } = await firmware.untilReached('chained', ({ type }) => type === 'boot.script');
  assert.deepEqual(loaders, ['undionly.kpxe']);
});
