/** Blades with little: one without any disk, whose root filesystem is in memory, and one of 1 GiB that installs itself. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BladeShell, LabKey } from '../../lab/demo/blade-shell.ts';
import { FirmwareLab, type FirmwareBlade } from './firmware.fixture.ts';

const DIRECTORY = fileURLToPath(new URL('../../.lab/memory', import.meta.url));
const UP_WITHIN_MS = 6 * 60_000;

const DISKLESS = { name: 'diskless', mac: '52:54:00:77:02:01', address: '10.77.0.41' };
const SMALL = { name: 'small', mac: '52:54:00:77:02:02', address: '10.77.0.42' };
const TINY = { name: 'tiny', mac: '52:54:00:77:02:03', address: '10.77.0.43' };

let firmware: FirmwareLab;
let shell: BladeShell;
const over = new AbortController();

before(async () => {
  const key = await LabKey.open(DIRECTORY);
  const login = `services: { start: [ssh] }, ssh: { authorizedKeys: ["${key.publicKey.trim()}"] }`;
  const blades: FirmwareBlade[] = [
    { ...DISKLESS, machine: { diskBytes: 0, memoryMiB: 2048 }, settings: `root: ram, ${login}` },
    { ...SMALL, machine: { diskBytes: 8 * 1024 ** 3, memoryMiB: 1024, firmware: 'uefi' }, settings: login },
    { ...TINY, machine: { diskBytes: 0, memoryMiB: 768 }, settings: 'root: ram' },
  ];
  firmware = await FirmwareLab.create({ name: 'memory', signal: over.signal, blades });
  shell = new BladeShell(firmware.lab, key, over.signal);
  await firmware.serve();
});

after(async () => {
  over.abort();
  await firmware.lab.down();
});

const on = async (blade: { name: string; address: string }, line: string): Promise<string> =>
  await shell.on(blade, line);

function hasFailed(event: { type: string; state?: string }): boolean {
  return event.type === 'blade.step' && event.state === 'failed';
}

test('a blade without a disk comes up with its root filesystem in memory, and says that it cannot be the root', async () => {
  const seen = { mounts: '', memory: '', state: '', promote: '' };
  const { events, console } = await firmware.untilReached('diskless', ({ type }) => type === 'blade.up', {
    withinMs: UP_WITHIN_MS,
    look: async () => {
      seen.mounts = await on(DISKLESS, 'findmnt --noheadings --output FSTYPE /; cat /etc/fstab; hostname');
      seen.memory = await on(DISKLESS, 'free -m; df -m /');
      seen.state = await on(DISKLESS, 'cat /var/lib/bladeroot/blade.json; ls /var/lib/bladeroot');
      seen.promote = await on(DISKLESS, 'bladeroot promote 2>&1; echo "status $?"');
    },
  });
  process.stderr.write(`${seen.memory}\n`);
  const up = events.find((event) => event.type === 'blade.up');
  assert.deepEqual([up?.release, up?.slot, up?.from, up?.services], [1, undefined, 'network', 'running']);
  assert.match(console, /identity, host keys and machine id are new at every boot/);
  assert.match(seen.mounts, /^tmpfs\n/);
  assert.match(seen.mounts, /\ndiskless$/);
  assert.match(seen.state, /"inMemory": 1\n/);
  assert.doesNotMatch(seen.state, /^store$/m);
  assert.match(seen.promote, /runs from memory, and keeps no packs .* promote a blade .*\nstatus 1$/);
});

test('it is sent to the agent again at its next boot, as there is no disk to start from', async () => {
  const { events } = await firmware.untilReached('diskless', ({ type }) => type === 'boot.script');
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'boot.script' ? [event.message] : [])),
    ['agent'],
  );
});

test('a machine whose memory is too small for the image says how much is lacking', async () => {
  const { console } = await firmware.untilReached('tiny', hasFailed);
  assert.match(
    console,
    /the image takes \d+ MiB of memory, .* this machine has \d+ MiB to give: \d+ MiB are lacking/,
  );
});

test('a machine with UEFI and 1 GiB of memory installs itself on its disk and is up', async () => {
  const { events } = await firmware.untilReached('small', ({ type }) => type === 'blade.up', {
    withinMs: UP_WITHIN_MS,
    look: async () => {
      process.stderr.write(`${await on(SMALL, 'free -m; findmnt /')}\n`);
    },
  });
  const up = events.find((event) => event.type === 'blade.up');
  assert.deepEqual([up?.slot, up?.from, up?.services], ['a', 'network', 'running']);
});
