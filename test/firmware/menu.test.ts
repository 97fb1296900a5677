/** What a person can choose on the screen of a machine that boots from the network. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { FirmwareLab, LOADED, NEAR } from '../stories/firmware.fixture.ts';

const NAME = 'menu';
const SHOWN_WITHIN_MS = 3 * 60_000;

let firmware: FirmwareLab;
const over = new AbortController();

before(async () => {
  firmware = await FirmwareLab.create({
    name: 'menu',
    signal: over.signal,
    // Nothing happens by itself for as long as the tests run.
    fleet: `network:\n  subnet: ${NEAR.subnet}\nprofiles:\n  asking: { boot: { timeout: 3600 } }\n`,
    blades: [{ name: NAME, mac: '52:54:00:77:07:01', address: '10.77.0.31', settings: 'profile: asking' }],
  });
  await firmware.serve();
});

after(async () => {
  over.abort();
  await firmware.lab.down();
});

/** Switches the machine on anew, and presses a key at its menu. */
async function choose(key: string, entry: RegExp): Promise<void> {
  const machine = firmware.lab.machine(NAME);
  if (machine.status().power === 'on') await machine.cut();
  await machine.powerOn(over.signal);
  await machine.waitForConsole(entry, { timeoutMs: SHOWN_WITHIN_MS, signal: over.signal });
  await machine.type(key);
}

// Under UEFI, memtest86+ 6.10 wants a graphics card, which machines of the lab have not.
test('the memory test runs, and shows itself on the serial console', async () => {
  await choose('m', /m {2}Memory test/);
  const machine = firmware.lab.machine(NAME);
  await machine.waitForConsole(/Memtest86\+/, { timeoutMs: SHOWN_WITHIN_MS, signal: over.signal });
});

test('the rescue system of the initrd is started, and nothing else', async () => {
  await choose('r', /r {2}Rescue shell/);
  const machine = firmware.lab.machine(NAME);
  await machine.waitForConsole(/this is the rescue system/, {
    timeoutMs: SHOWN_WITHIN_MS,
    signal: over.signal,
  });
});

test('deploy again goes to the agent, whatever the disk has', async () => {
  const from = firmware.events.length;
  await choose('d', /d {2}Deploy again/);
  const { stations } = await firmware.follow(NAME, ({ type }) => type === 'blade.step', { from });
  assert.deepEqual(stations.slice(-LOADED.length), LOADED);
});
