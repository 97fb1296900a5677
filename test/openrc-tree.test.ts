/** OpenRC as Debian has it: what a rendered blade starts is asked of its own rc-status and rc-update, in a chroot. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goldenTreeIfThere } from '../lab/demo/golden-tree.ts';
import { loadFleet } from '../src/fleet/load.ts';
import { resolveBlade, resolveFleet } from '../src/fleet/resolve.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { DirectoryFiles } from '../src/image/files.ts';
import { applyOverlay } from '../src/overlay/apply.ts';
import { encodeOverlay } from '../src/overlay/archive.ts';
import { renderOverlay } from '../src/overlay/render.ts';
import { assetPath } from '../src/system/asset.ts';
import { run } from '../src/system/run.ts';
import { inNamespaces } from '../src/tree/namespaces.ts';
import { installProgram } from '../src/tree/program.ts';
import { parseLsbHeader } from '../src/tree/services/lsb-header.ts';
import { OpenRc } from '../src/tree/services/openrc.ts';
import { apply } from '../src/tree/services/services.fixture.ts';

const LABS = fileURLToPath(new URL('../.lab/', import.meta.url));
const golden = await goldenTreeIfThere(join(LABS, 'cache'), 'openrc');
const skip =
  golden === undefined ? 'there is no tree with OpenRC yet; `npm run test:openrc` makes it' : false;

/** A copy whose files are those of the tree itself: nothing here writes into a file, all is made anew. */
async function copyOf(t: TestContext, tree = ''): Promise<string> {
  const directory = await mkdtemp(join(LABS, 'openrc-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await run('cp', ['--archive', '--link', `${tree}/.`, directory]);
  return directory;
}

async function inTree(tree: string, script: string): Promise<string> {
  const { stdout } = await run(
    ...inNamespaces(['sh', assetPath('tree/enter.sh'), tree, 'sh', '-euc', script]),
  );
  return stdout;
}

const BOOT = ['sysinit', 'boot', 'default'];

/** `RUNLEVEL/SERVICE`, as `rc-update show RUNLEVEL` says, for the runlevels of a boot. */
async function shown(tree: string): Promise<string[]> {
  const script = BOOT.map((runlevel) => `rc-update show ${runlevel} | sed 's,^ *,${runlevel}/,; s, *|.*,,'`);
  return (await inTree(tree, script.join('\n'))).trim().split('\n').sort();
}

/** The same, as `rc-status RUNLEVEL` says. */
async function status(tree: string): Promise<string[]> {
  const script = BOOT.map(
    (runlevel) => `rc-status --nocolor ${runlevel} | sed -n 's,^ \\([^* ][^ ]*\\) .*,${runlevel}/\\1,p'`,
  );
  return (await inTree(tree, script.join('\n'))).trim().split('\n').sort();
}

test('the services of the image are those that rc-update knows', { skip }, async (t) => {
  const tree = await copyOf(t, golden);
  const said = await inTree(tree, `rc-update --verbose show | sed 's, *|.*,,; s,^ *,,'`);
  assert.deepEqual(await new OpenRc(new DirectoryFiles(tree)).list(), said.trim().split('\n').sort());
});

test(
  'what is stopped and started again is in the runlevels in which update-rc.d puts it',
  { skip },
  async (t) => {
    const [ours, theirs] = [await copyOf(t, golden), await copyOf(t, golden)];
    const files = new DirectoryFiles(ours);
    const openrc = new OpenRc(files);
    const services: string[] = [];
    for (const service of await openrc.list()) {
      const header = parseLsbHeader((await files.read(`etc/init.d/${service}`)).toString());
      if (header?.defaultStart.some((level) => /[S2-5]/.test(level)) === true) services.push(service);
    }
    assert.ok(services.length > 15, services.join(' '));

    for (const service of services) await apply(ours, await openrc.stop(service));
    await inTree(
      theirs,
      services.map((service) => `rc-update --quiet --all del ${service} || true`).join('\n'),
    );
    assert.deepEqual(await shown(ours), await shown(theirs));
    assert.ok(!(await shown(ours)).includes('default/ssh'));

    for (const service of services) await apply(ours, await openrc.start(service));
    await inTree(theirs, services.map((service) => `update-rc.d ${service} defaults`).join('\n'));
    assert.deepEqual(await shown(ours), await shown(theirs));
  },
);

const FLEET = `name: lab
network: { subnet: 10.77.0.0/24 }
defaults: { services: { start: [ssh] } }
profiles:
  web: { services: { start: [nginx, own], stop: [rc.local, hwclock.sh] }, overlays: [own] }
  mail: { services: { start: [agetty], stop: [nginx, brightness] } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web }
  mail01: { mac: "52:54:00:77:00:21", address: 10.77.0.21, profile: mail }
`;

test(
  'rc-status and rc-update of a rendered blade say what was asked for, and nothing else',
  { skip },
  async (t) => {
    const fleetDir = await folderOf(t, {
      'fleet.yaml': FLEET,
      'overlays/own/etc/init.d/own': '#!/sbin/openrc-run\ncommand=/bin/true\n',
    });
    const fleet = await loadFleet(fleetDir);
    const tree = await copyOf(t, golden);
    await installProgram(tree);
    const image = new DirectoryFiles(tree);
    const before = await shown(tree);
    assert.ok(before.includes('default/nginx') && before.includes('default/bladeroot'), before.join(' '));
    assert.ok(!before.includes('default/bladeroot-root'), 'a blade is no root by itself');

    const expected = {
      web01: { less: ['default/rc.local', 'sysinit/hwclock.sh'], more: ['default/own'] },
      mail01: { less: ['default/nginx', 'sysinit/brightness'], more: ['default/agetty'] },
    };
    for (const [name, { less, more }] of Object.entries(expected)) {
      const blade = resolveBlade(fleet, name);
      const entries = await renderOverlay({ blade, fleet, blades: resolveFleet(fleet), fleetDir, image });
      const laid = await copyOf(t, tree);
      await applyOverlay(encodeOverlay(entries), laid);
      const services = [...before.filter((service) => !less.includes(service)), ...more].sort();
      assert.deepEqual(await shown(laid), services, name);
      assert.deepEqual(await status(laid), services, name);
    }
  },
);

/** As after a boot; /run is the chroot's own. */
const BOOTED = `for state in exclusive starting started stopping inactive failed daemons options tmp; do
  mkdir -p /run/openrc/$state
done
echo default > /run/openrc/softlevel
exec 2>&1`;

function service(verb: string): string {
  return `rc-service --nocolor --nodeps bladeroot ${verb}`;
}

test("the program's services are ones that OpenRC reads, starts and stops", { skip }, async (t) => {
  const tree = await copyOf(t, golden);
  await installProgram(tree);
  const described = await inTree(
    tree,
    `${BOOTED}; for s in bladeroot bladeroot-root; do rc-service $s describe; done`,
  );
  assert.match(described, /this blade's own boot loader and reports[^]*root of the fleet/);

  const elsewhere = await inTree(tree, `${BOOTED}; ${service('start')}; ${service('status')}`);
  assert.match(elsewhere, /has not deployed this machine[^]*status: started/);

  // Without a release it fails, and is tried again in a session of its own, until it is stopped.
  const script = [
    BOOTED,
    'mkdir -p /var/lib/bladeroot; echo "{}" > /var/lib/bladeroot/blade.json',
    service('start'),
    'pid=$(cat /run/bladeroot.pid); kill -0 $pid; echo it runs',
    service('stop'),
    'while kill -0 $pid 2> /dev/null; do :; done; echo it is over',
  ];
  assert.match(await inTree(tree, script.join('\n')), /it runs[^]*it is over/);
});

test('its ifup gives the card its address, also where the initrd has left it there', { skip }, async (t) => {
  const fleetDir = await folderOf(t, { 'fleet.yaml': FLEET, 'overlays/own/etc/issue': '' });
  const fleet = await loadFleet(fleetDir);
  const blade = resolveBlade(fleet, 'mail01');
  const tree = await copyOf(t, golden);
  const image = new DirectoryFiles(tree);
  const entries = await renderOverlay({ blade, fleet, blades: resolveFleet(fleet), fleetDir, image });
  await applyOverlay(encodeOverlay(entries), tree);

  const namespace = `services-${process.pid}`;
  await run('ip', ['netns', 'add', namespace]);
  t.after(() => run('ip', ['netns', 'delete', namespace]));
  const inside = async (script: string): Promise<string> =>
    (await run('ip', ['netns', 'exec', namespace, 'unshare', '--mount', 'sh', '-euc', script])).stdout;
  const said = await inside(`
    ip link add eth7 address ${blade.mac} type veth peer name eth8
    ip link set eth7 up
    ip address add ${blade.address}/24 dev eth7
    mount -t tmpfs tmpfs ${tree}/run
    mkdir ${tree}/run/network
    mount -t sysfs sysfs ${tree}/sys
    chroot ${tree} ifup -a >&2
    ip -4 -o address show dev eth7`);
  assert.match(said, /inet 10\.77\.0\.21\/24/);
});
