import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sampleMachine } from '../fleet/machine.fixture.ts';
import type { Machine } from '../fleet/machine.ts';
import { waitingScreen } from './waiting-screen.ts';

const MAC = '52:54:00:77:00:99';
const RECIPIENT = `age1${'q'.repeat(58)}`;

/** Its lines, as they stand on the screen. */
function screen(machine: Machine, status: string): string[] {
  const text = waitingScreen(machine, 'production', status);
  assert.ok(text.startsWith('\u001B[2J\u001B[H'), 'the screen is cleared first');
  return text.slice(7).split('\r\n');
}

test('whatever a machine has, the screen is no more than 24 lines of 79 columns, and the command is on it whole', () => {
  const word = fc.string({ minLength: 1, maxLength: 128, unit: fc.constantFrom(...'abc 19-') });
  const nic = fc.record({ name: word, mac: fc.constantFrom(MAC, '52:54:00:77:00:aa'), link: fc.boolean() });
  const disk = fc.record({
    path: word,
    bytes: fc.nat(),
    model: fc.constantFrom('SAMSUNG', 'INTEL', 'WDC', 'HGST', 'x'.repeat(128)),
    rotational: fc.boolean(),
  });
  const machines = fc.record({
    nics: fc.array(nic, { maxLength: 64 }),
    disks: fc.array(disk, { maxLength: 256 }),
    vendor: word,
    model: word,
  });
  fc.assert(
    fc.property(machines, fc.lorem({ maxCount: 200 }), (machine, status) => {
      const lines = screen(sampleMachine({ ...machine, mac: MAC, recipient: RECIPIENT }), status);
      assert.ok(lines.length <= 24, `${lines.length} lines`);
      assert.ok(lines.every((line) => line.length < 80));
      assert.ok(lines.some((line) => line.startsWith('   identity ')));
      assert.ok(lines.includes(`      bladeroot blade adopt ${MAC} NAME`));
    }),
  );
});

test('alike disks are one line, the card that it booted from is the first, and a long word of the root is wrapped', () => {
  const disk = { bytes: 4e12, model: 'SAMSUNG', rotational: false };
  const disks = ['/dev/sda', '/dev/sdb', '/dev/sdc'].map((path) => ({ path, ...disk }));
  const nics = [
    { name: 'eno1', mac: '52:54:00:77:00:aa', link: false },
    { name: 'eno2', mac: MAC, link: true },
  ];
  const lines = screen(
    sampleMachine({ mac: MAC, nics, disks: [...disks, { ...disk, path: '/dev/nvme0n1', model: 'INTEL' }] }),
    `it has the serial number of db01, which the machine ${MAC} is already: write mac: for db01 into fleet.yaml`,
  );
  const facts = lines.filter((line) => /^ {3}(card|disk)/.test(line));
  assert.deepEqual(facts, [
    `   card     ${MAC} eno2, booted from`,
    '   card     52:54:00:77:00:aa eno1, no link',
    '   disk     3 × 4000.0 GB SAMSUNG, from /dev/sda',
    '   disk     /dev/nvme0n1 4000.0 GB INTEL',
  ]);
  assert.deepEqual(lines.slice(-2), [
    '  waiting: it has the serial number of db01, which the machine',
    `           ${MAC} is already: write mac: for db01 into fleet.yaml`,
  ]);
});
