/** BIOS PXE with the loader by TFTP, by real firmware: what a ROM that is no iPXE, or one without HTTP, has to do. */
import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Lab } from '../lab/lab.ts';
import type { FixtureSettings } from '../src/serve/server.fixture.ts';
import { startPiped } from '../src/system/run.ts';

const SERVER = fileURLToPath(new URL('../src/serve/server.fixture.ts', import.meta.url));
const MAC = '52:54:00:09:00:01';
const ROOT = '10.9.0.1';
const MACHINE = '10.9.0.11';
const LOADER = 'undionly.kpxe';

const eventSchema = z.object({
  type: z.string(),
  client: z.unknown().optional(),
  file: z.string().optional(),
});

test('a ROM in QEMU loads our iPXE by TFTP, and that asks for its address in its turn', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-ipxe-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  await using lab = await Lab.create(
    {
      name: `ipxe-${process.pid}`,
      address: '10.9.0.254/24',
      accelerator: 'tcg',
      hosts: [{ name: 'root', address: `${ROOT}/24` }],
      machines: [{ name: 'pxe', mac: MAC, memoryMiB: 256, diskBytes: 1024 * 1024 }],
    },
    { directory, signal: t.signal },
  );
  const offer = {
    address: MACHINE,
    subnetMask: '255.255.255.0',
    dns: [],
    leaseSeconds: 600,
    bootFile: LOADER,
  };
  const settings: FixtureSettings = {
    interface: 'eth0',
    address: ROOT,
    offers: { [MAC]: offer },
    files: { [LOADER]: `/usr/lib/ipxe/${LOADER}` },
  };
  const command = lab.segment.command('root', process.execPath, [SERVER, JSON.stringify(settings)]);
  const server = startPiped(...command, { signal: t.signal });
  const seen: string[] = [];
  for await (const line of createInterface({ input: server.stdout })) {
    const event = eventSchema.parse(JSON.parse(line));
    if (event.type === 'ready') await lab.machine('pxe').powerOn(t.signal);
    else seen.push(event.file === undefined ? event.type : `${event.type} ${event.file}`);
    // The loaded iPXE begins anew: firmware that got no loader, or a broken one, never comes here.
    if (event.type === 'dhcp.discover' && seen.includes(`tftp.done ${LOADER}`)) break;
  }
  server.stdin.end();
  await server.done;
  const dora = ['dhcp.discover', 'dhcp.offer', 'dhcp.request', 'dhcp.ack'];
  const without = seen.filter((what) => !what.startsWith('tftp.start'));
  assert.deepEqual(without, [...dora, `tftp.done ${LOADER}`, 'dhcp.discover']);
});
