/** A blade beside another DHCP server speaks from an address that no release knows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../src/system/run.ts';
import { needsRoot, SERVED, Serving, stateWithRelease, WIRE, Wire } from './serve.fixture.ts';

test(
  'a loader that a blade fetches from an address of another DHCP server is told under its name, by TFTP and by HTTP',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const serving = await Serving.start(wire, state);
    t.after(() => serving.stop());
    await run('ip', ['-n', wire.client, 'address', 'add', '10.99.0.50/24', 'dev', WIRE.client]);
    for (const url of [
      `tftp://${WIRE.address}/undionly.kpxe`,
      `http://${WIRE.address}:8067/boot/loaders/undionly.kpxe`,
    ]) {
      const from = serving.events.length;
      assert.equal((await wire.inClient('curl', '-sSf', url)).stdout, SERVED.loader);
      const event = await serving.until('boot.loader', from);
      assert.equal('blade' in event ? event.blade : undefined, WIRE.blade, url);
    }
  },
);
