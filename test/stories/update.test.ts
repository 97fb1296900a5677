/**
 * A blade is updated while it runs: its other slot gets the next release, the next start from the disk tries it, and a
 * release with which it does not become healthy makes way for the last good one.
 */
import { strict as assert } from 'node:assert';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BladeShell, LabKey } from '../../lab/demo/blade-shell.ts';
import { BLADEROOT, bladeroot, placeArgs } from '../../lab/demo/bladeroot.ts';
import { recordedEvent } from '../../lab/demo/event-stream.ts';
import { bladeOf, NETWORK, writeFleetFolder } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { Lab } from '../../lab/lab.ts';
import type { RecordedEvent, UpdateReport, UpReport } from '../../src/events/catalogue.ts';

const CACHE = fileURLToPath(new URL('../../.lab/cache', import.meta.url));
const BLADE = bladeOf('web01');

/** Events of the root, as they come, and those that have come. */
class Events {
  readonly #all: RecordedEvent[] = [];
  #look: () => void = () => undefined;

  add(event: RecordedEvent | undefined): void {
    if (event === undefined) return;
    this.#all.push(event);
    this.#look();
  }

  /** The first after so many that is what is waited for. */
  async next<T extends RecordedEvent>(
    is: (event: RecordedEvent) => event is T,
    signal: AbortSignal,
  ): Promise<T> {
    return await new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('it took too long')), { once: true });
      this.#look = () => {
        const at = this.#all.findIndex(is);
        const found = this.#all[at];
        if (found === undefined || !is(found)) return;
        this.#all.splice(0, at + 1);
        resolve(found);
      };
      this.#look();
    });
  }
}

const isUp = (event: RecordedEvent): event is RecordedEvent & UpReport => event.type === 'blade.up';
const isReady = (event: RecordedEvent): event is RecordedEvent & UpdateReport =>
  event.type === 'blade.update' && event.state !== 'started';

test('a running blade prepares the next release, starts into it, and falls back from one that is bad', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-update-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const { signal } = t;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const call = { signal, onLine: () => undefined };
  const place = { state: join(directory, 'state'), fleet: join(directory, 'fleet') };
  const tree = await goldenTree(CACHE, call);
  const key = await LabKey.open(directory);
  await bladeroot(place, ['init', '--name', 'lab', '--subnet', NETWORK.subnet], call);
  await writeFleetFolder(place.fleet, key.publicKey);
  const fleetYaml = join(place.fleet, 'fleet.yaml');
  const fleet = (await readFile(fleetYaml, 'utf8')).replace(/^( {2}(web02|web03|mail01):.*\n)+/gm, '');
  // It starts from its disk: that is what is tried here.
  const onDisk = fleet.replace('defaults:\n', 'defaults:\n  boot: { default: local-disk }\n');
  await writeFile(fleetYaml, fleet);
  await bladeroot(place, ['tree', 'create', 'debian', '--from', tree.directory], call);
  const publish = async (note: string): Promise<void> => {
    await writeFile(join(place.state, 'trees/debian/etc/bladeroot-note'), `${note}\n`);
    await bladeroot(place, ['snapshot', 'pack', 'debian'], call);
    await bladeroot(place, ['release', 'publish', '-m', note], call);
  };
  await publish('one');

  const { name, mac } = BLADE;
  const machine = { name, mac, diskBytes: 8 * 1024 ** 3, memoryMiB: 1024 };
  await using lab = await Lab.create(
    {
      name: `update-${process.pid}`,
      address: `${NETWORK.observer}/${NETWORK.prefix}`,
      hosts: [{ name: 'root', address: `${NETWORK.root}/${NETWORK.prefix}` }],
      machines: [machine],
    },
    { directory: join(directory, 'lab'), signal },
  );
  const events = new Events();
  await lab.startProgram('root', {
    host: 'root',
    program: BLADEROOT,
    args: ['serve', '--interface', 'eth0', '--json', ...placeArgs(place)],
    onLine: (line) => {
      const event = recordedEvent(line);
      if (event !== undefined && !event.type.startsWith('dhcp.')) say(`${line.slice(0, 300)}`);
      events.add(event);
    },
  });
  const shell = new BladeShell(lab, key, signal);
  await lab.machine(name).powerOn(signal);
  const first = await events.next(isUp, signal);
  assert.deepEqual([first.release, first.slot, first.from], [1, 'a', 'network']);

  await writeFile(fleetYaml, onDisk);
  await publish('two');
  // It finds out by itself.
  const ready = await events.next(isReady, signal);
  assert.deepEqual([ready.state, ready.release, ready.slot], ['ready', 2, 'b'], ready.message);
  assert.equal(await shell.on(BLADE, 'cat /etc/bladeroot-note'), 'one');
  await shell.on(BLADE, 'systemd-run --on-active=1 reboot');
  const second = await events.next(isUp, signal);
  assert.deepEqual([second.release, second.slot, second.from], [2, 'b', 'disk']);
  assert.equal(await shell.on(BLADE, 'cat /etc/bladeroot-note'), 'two');
  const drift = await shell.on(BLADE, 'bladeroot blade verify --local || true');
  say(drift);
  assert.match(drift, /web01 is release 2, in slot b; nothing has drifted/);

  const health = 'defaults:\n  health: { command: ["false"], timeout: 10 }\n';
  await writeFile(fleetYaml, onDisk.replace('defaults:\n', health));
  await publish('three');
  await shell.on(BLADE, 'bladeroot blade update 2>&1');
  await events.next(isReady, signal);
  await shell.on(BLADE, 'systemd-run --on-active=1 reboot');
  const back = await events.next(isUp, signal);
  assert.deepEqual([back.release, back.slot, back.from, back.bad?.release], [2, 'b', 'disk', 3]);
});
