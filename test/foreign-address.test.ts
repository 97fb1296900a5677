/** A blade beside another DHCP server speaks from an address that no release knows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsRoot, SERVED, serveStranger, WIRE } from './serve.fixture.ts';

test(
  'a loader that a blade fetches from an address of another DHCP server is told under its name, by TFTP and by HTTP',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const { wire, serving } = await serveStranger(t);
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
