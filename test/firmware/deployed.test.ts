/** A machine with UEFI that nobody knows becomes a blade, and starts from its own disk: from power on to services that run. */
import { strict as assert } from 'node:assert';
import { stat } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { RecordedEvent } from '../../src/events/catalogue.ts';
import { FirmwareLab, NEAR } from '../stories/firmware.fixture.ts';

const NAME = 'web01';
const MAC = '52:54:00:77:06:01';
const DISK_BYTES = 8 * 1024 ** 3;
/** From the kernel to services that run, under plain emulation. */
const UP_WITHIN_MS = 12 * 60_000;

let firmware: FirmwareLab;
const over = new AbortController();

before(async () => {
  firmware = await FirmwareLab.create({
    name: 'deployed',
    signal: over.signal,
    fleet: `network:\n  subnet: ${NEAR.subnet}\n  pool: { from: 10.77.0.200, to: 10.77.0.250 }\n`,
    blades: [],
    strangers: [
      { name: NAME, mac: MAC, firmware: 'uefi', netboot: 'uefi-pxe', diskBytes: DISK_BYTES, memoryMiB: 1024 },
    ],
  });
  await firmware.serve();
});

after(async () => {
  over.abort();
  await firmware.lab.down();
});

function isUp(event: RecordedEvent): boolean {
  return event.type === 'blade.up';
}

test('a machine without a name waits at its screen, and nothing is written to its disk', async () => {
  const machine = firmware.lab.machine(NAME);
  await machine.powerOn(over.signal);
  const screen = new RegExp(`bladeroot blade adopt ${MAC} NAME`);
  await machine.waitForConsole(screen, { timeoutMs: UP_WITHIN_MS, signal: over.signal });
  assert.equal((await stat(machine.files.disk)).blocks, 0);
});

test('adopted, it goes on by itself, and becomes a blade with UEFI', async () => {
  const up = firmware.follow(NAME, isUp, { withinMs: UP_WITHIN_MS });
  await firmware.bladeroot('blade', 'adopt', MAC, NAME);
  const { events } = await up;
  const last = events.at(-1);
  assert.ok(last?.type === 'blade.up');
  assert.deepEqual([last.from, last.slot, last.release, last.services], ['network', 'a', 2, 'running']);
});

test('a healthy blade is sent to its own disk, where its GRUB starts it', async () => {
  const from = firmware.events.length;
  const machine = firmware.lab.machine(NAME);
  await machine.cut();
  await machine.powerOn(over.signal);
  const { events } = await firmware.follow(NAME, isUp, { from, withinMs: UP_WITHIN_MS });
  const last = events.at(-1);
  assert.ok(last?.type === 'blade.up');
  assert.deepEqual([last.from, last.slot, last.services], ['disk', 'a', 'running']);
  assert.equal(
    events.some(({ type }) => type === 'boot.kernel'),
    false,
    'the kernel is its own',
  );
});
