/**
 * The same fleet folder on a tree with systemd and on one with OpenRC: a blade of each starts exactly what was asked for,
 * by the word of systemctl and of rc-status on the blade itself.
 */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BladeShell, LabKey } from '../../lab/demo/blade-shell.ts';
import { BLADEROOT, bladeroot, placeArgs, type CallOptions } from '../../lab/demo/bladeroot.ts';
import { recordedEvent } from '../../lab/demo/event-stream.ts';
import { NETWORK, type DemoBlade } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { Timeline } from '../../lab/demo/timeline.ts';
import { Lab } from '../../lab/lab.ts';
import { run } from '../../src/system/run.ts';
import { writeFileAtomic } from '../../src/system/write-file.ts';
import type { DebianInit } from '../../src/tree/debian.ts';

const LABS = fileURLToPath(new URL('../../.lab/', import.meta.url));
/** Under plain emulation, on a computer that has other things to do as well. */
const UP_WITHIN_MS = 30 * 60_000;

const BLADES: Record<DebianInit, DemoBlade> = {
  openrc: { name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11', profile: 'web' },
  systemd: { name: 'web02', mac: '52:54:00:77:00:12', address: '10.77.0.12', profile: 'web' },
};

/** Both trees have nginx and start it; the beacon comes with an overlay, as a unit and as an init script. */
const FLEET = `name: lab
network:
  subnet: ${NETWORK.subnet}
defaults:
  overlays: [base]
  kernelArgs: [console=tty0, "console=ttyS0,115200"]
  services: { start: [ssh, nginx] }
profiles:
  web:
    services: { start: [beacon], stop: [nginx] }
blades:
${Object.values(BLADES)
  .map(({ name, mac, address }) => `  ${name}: { mac: "${mac}", address: ${address}, profile: web }`)
  .join('\n')}
`;

const BEACON = {
  'etc/systemd/system/beacon.service':
    '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/touch /run/beacon\n[Install]\nWantedBy=multi-user.target\n',
  'etc/init.d/beacon': '#!/sbin/openrc-run\nstart() {\n\ttouch /run/beacon\n}\n',
};

const directory = join(LABS, 'openrc');
const place = { state: join(directory, 'root', 'state'), fleet: join(directory, 'root', 'fleet') };
const over = new AbortController();
const call: CallOptions = { signal: over.signal, onLine: () => undefined };
const timeline = new Timeline();
let lab: Lab;
let shell: BladeShell;

before(async () => {
  const key = await LabKey.open(directory);
  await rm(dirname(place.state), { recursive: true, force: true });
  await bladeroot(place, ['init', '--name', 'lab', '--subnet', NETWORK.subnet], call);
  const overlay = { ...BEACON, 'root/.ssh/authorized_keys': key.publicKey };
  for (const [path, text] of Object.entries(overlay)) {
    const file = join(place.fleet, 'overlays/base', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFileAtomic(file, text, { mode: path.includes('init.d') ? 0o755 : 0o644 });
  }
  await writeFileAtomic(join(place.fleet, 'fleet.yaml'), FLEET);
  lab = await Lab.create(
    {
      name: `openrc-${process.pid}`,
      address: `${NETWORK.observer}/${NETWORK.prefix}`,
      hosts: [{ name: 'root', address: `${NETWORK.root}/${NETWORK.prefix}` }],
      machines: Object.values(BLADES).map(({ name, mac }) => ({
        name,
        mac,
        diskBytes: 8 * 1024 ** 3,
        memoryMiB: 1024,
      })),
    },
    { directory, signal: over.signal },
  );
  shell = new BladeShell(lab, key, over.signal);
});

after(async () => {
  over.abort();
  await lab.down();
});

/** Publishes the fleet with a tree of this kind, and deploys its blade from it. @returns what the blade says of its services */
async function deploy(init: DebianInit): Promise<string | undefined> {
  const golden = await goldenTree(join(LABS, 'cache'), call, init);
  await bladeroot(place, ['tree', 'create', init, '--from', golden.directory], call);
  await bladeroot(place, ['snapshot', 'pack', init], call);
  await bladeroot(place, ['release', 'publish', '--snapshot', init, '-m', init], call);
  const program = await lab.startProgram(`root-${init}`, {
    host: 'root',
    program: BLADEROOT,
    args: ['serve', '--interface', 'eth0', '--json', ...placeArgs(place)],
    onLine: (line) => {
      const event = recordedEvent(line);
      if (event !== undefined) timeline.record(event);
    },
  });
  const { name } = BLADES[init];
  const machine = lab.machine(name);
  const boot = timeline.powerOn(name);
  await machine.powerOn(over.signal);
  const alive = AbortSignal.any([over.signal, AbortSignal.timeout(UP_WITHIN_MS)]);
  const lost = machine.whenOff(alive).then(({ lastWords }) => {
    throw new Error(`${name} went off: ${lastWords}`);
  });
  lost.catch(() => undefined);
  try {
    const up = await Promise.race([lost, timeline.until(() => boot.up, alive)]);
    return up.services;
  } catch (cause) {
    const last = (await machine.consoleText()).trimEnd().split('\n').slice(-30).join('\n');
    throw new Error(`${name} did not come up; ${boot.step}; its console ends:\n${last}`, { cause });
  } finally {
    await program.stop();
  }
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();
}

/** Services that rc-status calls started. */
function startedIn(status: string): string[] {
  return [...status.matchAll(/^ (\S+) +\[ +started +\]/gm)].map(([, service]) => service ?? '');
}

/** The first word of each line. */
function names(text: string): string[] {
  return lines(text).map((line) => line.split(/\s+/)[0] ?? '');
}

test('OpenRC: rc-status on the blade says that exactly what was asked for has started', async (t) => {
  assert.equal(await deploy('openrc'), 'running');
  const blade = BLADES.openrc;
  const golden = await goldenTree(join(LABS, 'cache'), call, 'openrc');
  assert.match(await shell.on(blade, 'cat /proc/1/comm; readlink /proc/1/exe'), /^init\n.*\/sbin\/init$/);

  const shown = `rc-update show sysinit boot default | sed 's, *|.*,,'`;
  const { stdout } = await run('chroot', [golden.directory, 'sh', '-c', shown]);
  await rm(join(golden.directory, 'run/openrc'), { recursive: true, force: true });
  const inTree = lines(stdout);
  assert.ok(inTree.includes('nginx'));
  const wanted = [...inTree.filter((service) => service !== 'nginx'), 'beacon', 'bladeroot'].sort();
  assert.deepEqual(lines(await shell.on(blade, shown)), wanted);

  const status = await shell.on(blade, 'rc-status --nocolor --all');
  t.diagnostic(status);
  const [levels = '', needed = ''] = status.split('Dynamic Runlevel: needed/wanted');
  // checkroot.sh needs it, for the end.
  assert.deepEqual(startedIn(needed), ['umountroot']);
  const started = new Set(startedIn(levels));
  started.delete('umountroot');
  assert.deepEqual([...started].sort(), wanted);
  assert.equal(await shell.on(blade, 'ls /run/openrc/failed'), '');
  assert.equal(
    await shell.on(blade, 'ls /run/beacon; pgrep -x nginx || echo no nginx'),
    '/run/beacon\nno nginx',
  );
  assert.equal(await shell.on(blade, 'hostname'), blade.name);
});

test('systemd: systemctl on the blade says that exactly what was asked for has started', async (t) => {
  assert.equal(await deploy('systemd'), 'running');
  const blade = BLADES.systemd;
  const golden = await goldenTree(join(LABS, 'cache'), call, 'systemd');

  const list = [
    'list-unit-files',
    '--state=enabled',
    '--no-legend',
    '--plain',
    '--type=service,timer,socket',
  ];
  const inTree = names((await run('systemctl', [`--root=${golden.directory}`, ...list])).stdout);
  assert.ok(inTree.includes('nginx.service'));
  // With the program's own, and networkd, which configures the network of this tree.
  const network = [
    'systemd-networkd.service',
    'systemd-networkd.socket',
    'systemd-networkd-wait-online.service',
  ];
  const added = ['beacon.service', 'bladeroot.service', 'systemd-network-generator.service', ...network];
  const wanted = [...new Set([...inTree, ...added])].filter((unit) => unit !== 'nginx.service').sort();
  assert.deepEqual(names(await shell.on(blade, `systemctl ${list.join(' ')}`)), wanted);

  t.diagnostic(await shell.on(blade, 'systemctl --no-pager --type=service'));
  const active = await shell.on(blade, 'systemctl is-active beacon ssh nginx || true');
  assert.equal(active, 'active\nactive\ninactive');
  assert.equal(
    await shell.on(blade, 'ls /run/beacon; pgrep -x nginx || echo no nginx'),
    '/run/beacon\nno nginx',
  );
});
