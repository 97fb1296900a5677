/** `blade disks`, by host lists: what machines have said of their disks, from the root's database. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import { openDatabase } from '../src/state/database.ts';
import { MachineRepository } from '../src/state/machines.ts';
import { place } from './bladeroot.fixture.ts';

const MACS = { web01: '52:54:00:77:00:11', web02: '52:54:00:77:00:12', web03: '52:54:00:77:00:13' };
const FLEET = `name: lab
network: { subnet: 10.77.0.0/24 }
blades:
  web01: { mac: '${MACS.web01}', address: 10.77.0.11 }
  web02: { mac: '${MACS.web02}', address: 10.77.0.12 }
  web03: { mac: '${MACS.web03}', address: 10.77.0.13 }
`;

test('the disks of several blades stand below their names; who has not said hello is named', async (t) => {
  const { bladeroot, state } = await place(t, { 'fleet.yaml': FLEET });
  await mkdir(state, { recursive: true });
  const database = openDatabase(state);
  const machines = new MachineRepository(database);
  const disk = { path: '/dev/vda', bytes: 8 * 2 ** 30, rotational: false };
  const seen = Date.parse('2026-11-23T03:04:05Z');
  machines.seen(sampleMachine({ mac: MACS.web01, disks: [disk] }), seen);
  machines.seen(sampleMachine({ mac: MACS.web02, disks: [{ ...disk, path: '/dev/sda' }] }), seen);
  database.close();

  const told = await bladeroot(['blade', 'disks', 'web[01-02]']);
  assert.match(
    told.stdout,
    /^web01:\nDISK .*\n\/dev\/vda +8 GiB .*\n\nweb02:\nDISK .*\n\/dev\/sda +8 GiB .*\n$/,
    told.stderr,
  );
  const one = await bladeroot(['blade', 'disks', 'web02', '--json']);
  const reported = new Date(seen).toISOString();
  const web02 = { blade: 'web02', reported, disks: [{ ...disk, path: '/dev/sda' }] };
  assert.deepEqual(JSON.parse(one.stdout), web02);

  const all = await bladeroot(['blade', 'disks', '@all']);
  assert.deepEqual([all.status, all.stdout], [1, '']);
  assert.match(all.stderr, /no machine has said hello to this root as web03/);
});
