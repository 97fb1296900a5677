import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadFleet } from '../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../fleet/resolve.ts';
import { DirectoryFiles } from '../image/files.ts';
import { run } from '../system/run.ts';
import type { OverlayEntry } from './entry.ts';
import { renderOverlay } from './render.ts';

/** A folder of files by path; a content that starts with `->` is a symbolic link, a path that ends in `/` a directory. */
async function folderOf(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'bladeroot-overlay-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    const full = join(root, path);
    await mkdir(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (content.startsWith('->')) await symlink(content.slice(2), full);
    else if (!path.endsWith('/')) await writeFile(full, content, { mode: 0o644 });
  }
  return root;
}

const UNITS = 'usr/lib/systemd/system';
const IMAGE = {
  bin: '->usr/bin',
  'usr/bin/': '',
  'usr/sbin/': '',
  sbin: '->/usr/sbin',
  lib: '->usr/lib',
  'etc/': '',
  'etc/resolv.conf': '->../run/systemd/resolve/stub-resolv.conf',
  'usr/lib/systemd/systemd': '',
  'usr/lib/systemd/systemd-networkd': '',
  'usr/lib/systemd/systemd-networkd-wait-online': '',
  [`${UNITS}/systemd-networkd.service`]: '[Install]\nWantedBy=multi-user.target\n',
  [`${UNITS}/nginx.service`]: '[Install]\nWantedBy=multi-user.target\n',
  'etc/systemd/system/multi-user.target.wants/nginx.service': '->/lib/systemd/system/nginx.service',
};

const FLEET = `name: lab
network: { subnet: 10.77.0.0/24, gateway: 10.77.0.1, dns: [10.77.0.1], domain: lab.example }
defaults: { overlays: [base], vars: { motto: hello } }
profiles:
  web: { overlays: [web], services: { start: [nginx] }, vars: { role: web } }
  mail: { services: { stop: [nginx] } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web }
  mail01: { mac: "52:54:00:77:00:21", address: 10.77.0.21, profile: mail }
`;

interface Setting {
  blade?: string;
  image?: Record<string, string>;
  fleet?: string;
  overlays?: Record<string, string>;
}

async function render(t: TestContext, setting: Setting): Promise<Map<string, OverlayEntry>> {
  const fleetDir = await folderOf(t, {
    'fleet.yaml': setting.fleet ?? FLEET,
    'overlays/base/': '',
    'overlays/web/': '',
    ...Object.fromEntries(
      Object.entries(setting.overlays ?? {}).map(([path, text]) => [`overlays/${path}`, text]),
    ),
  });
  const image = new DirectoryFiles(await folderOf(t, setting.image ?? IMAGE));
  const fleet = await loadFleet(fleetDir);
  const blade = resolveBlade(fleet, setting.blade ?? 'web01');
  const entries = await renderOverlay({ blade, fleet, blades: resolveFleet(fleet), fleetDir, image });
  const paths = entries.map(({ path }) => path);
  assert.deepEqual(paths, paths.toSorted(), 'entries are sorted');
  assert.equal(new Set(paths).size, paths.length, 'each path stands once');
  return new Map(entries.map((entry) => [entry.path, entry]));
}

function textOf(entry: OverlayEntry | undefined): string {
  assert.equal(entry?.type, 'file');
  return entry.content.toString();
}

test('every blade has its name, all blades in hosts, its address by MAC, and a resolver that is no link', async (t) => {
  const entries = await render(t, {});
  assert.equal(textOf(entries.get('etc/hostname')), 'web01\n');
  assert.match(textOf(entries.get('etc/hosts')), /^10\.77\.0\.21\tmail01\.lab\.example mail01$/m);
  assert.equal(textOf(entries.get('etc/resolv.conf')), 'search lab.example\nnameserver 10.77.0.1\n');
  assert.equal(textOf(entries.get('etc/machine-id')), '');
  assert.equal(
    textOf(entries.get('etc/systemd/network/10-bladeroot.network')),
    `[Match]
MACAddress=52:54:00:77:00:11
Type=ether

[Network]
Address=10.77.0.11/24
Gateway=10.77.0.1
DNS=10.77.0.1
Domains=lab.example
`,
  );
  assert.match(
    textOf(entries.get('etc/systemd/system/systemd-networkd-wait-online.service.d/bladeroot.conf')),
    /^ExecStart=-\/usr\/lib\/systemd\/systemd-networkd-wait-online --any --timeout=10$/m,
  );
  assert.equal(
    entries.get('etc/systemd/system/multi-user.target.wants/systemd-networkd.service')?.type,
    'symlink',
  );
  assert.deepEqual(entries.get('etc/systemd/network'), {
    type: 'dir',
    path: 'etc/systemd/network',
    mode: 0o755,
    uid: 0,
    gid: 0,
    origin: 'built in: network',
  });
});

test('services start and stop as the blade says', async (t) => {
  const link = 'etc/systemd/system/multi-user.target.wants/nginx.service';
  assert.equal((await render(t, { blade: 'web01' })).has(link), false, 'the image starts it already');
  const stopped = (await render(t, { blade: 'mail01' })).get(link);
  assert.deepEqual([stopped?.type, stopped?.origin], ['whiteout', 'services.stop: nginx']);
});

test('a service can come from an overlay', async (t) => {
  const entries = await render(t, {
    fleet: FLEET.replace('[nginx] }, vars', '[app] }, vars'),
    overlays: { 'web/etc/systemd/system/app.service': '[Install]\nWantedBy=multi-user.target\n' },
  });
  const link = entries.get('etc/systemd/system/multi-user.target.wants/app.service');
  assert.equal(link?.type === 'symlink' && link.target, '/etc/systemd/system/app.service');
});

test('a service that the image does not have is an error with blade, service and the nearest ones', async (t) => {
  await assert.rejects(
    render(t, { blade: 'mail01', fleet: FLEET.replace('stop: [nginx]', 'stop: [ngnix]') }),
    {
      code: 'UNKNOWN_SERVICE',
      message: 'blade mail01: the image has no service ngnix',
      hint: 'its systemd knows 2 services, the nearest: nginx',
    },
  );
});

test('later overlays win over earlier ones, and all over what is built in', async (t) => {
  const entries = await render(t, {
    overlays: {
      'base/etc/hosts': 'mine\n',
      'base/etc/motd': 'base\n',
      'web/etc/motd.liquid': '{{ blade.name }}: {{ vars.motto }}, {{ vars.role }} of {{ fleet.name }}\n',
    },
  });
  assert.equal(textOf(entries.get('etc/hosts')), 'mine\n');
  assert.equal(textOf(entries.get('etc/motd')), 'web01: hello, web of lab\n');
  assert.equal(entries.get('etc/motd')?.origin, 'overlays/web/etc/motd.liquid');
});

test('templates see all blades and the network; what the fleet leaves out is null', async (t) => {
  const entries = await render(t, {
    fleet: FLEET.replace(', gateway: 10.77.0.1', ''),
    overlays: {
      'base/etc/list.liquid':
        '{% for b in blades %}{{ b.name }}={{ b.address }} {% endfor %}{{ network.netmask }}{% if network.gateway %}!{% endif %}',
    },
  });
  assert.equal(textOf(entries.get('etc/list')), 'web01=10.77.0.11 mail01=10.77.0.21 255.255.255.0');
});

test('a wrong template is an error with file and line, and the variables that there are', async (t) => {
  const cases: [string, string][] = [
    ['\n{{ blade.nmae }}', '2: there is no variable blade.nmae; did you mean name?; known in blade: '],
    ['{{ vars.x }}', '1: there is no variable vars.x; known in vars: motto, role'],
    ['{{ foo }}', '1: there is no variable foo; known: blade, blades, fleet, network, vars'],
    ['{% if blade.zebra %}{% endif %}', '1: there is no variable blade.zebra; known in blade: '],
    ['{{ blade.name | shout }}', '1: undefined filter: shout'],
    ['a\nb\n{% fi %}', '3: tag "fi" not found'],
    ['{{ blade.name ', '1: output "{{ blade.name " not closed'],
    ['{% include "/etc/passwd" %}', '1: ENOENT'],
  ];
  for (const [text, message] of cases) {
    await assert.rejects(render(t, { overlays: { 'base/etc/x.liquid': text } }), (error: Error) => {
      assert.ok(error.message.startsWith(`overlays/base/etc/x.liquid:${message}`), error.message);
      return true;
    });
  }
});

test('directories that are links in the image are written through, and keep their mode', async (t) => {
  const entries = await render(t, {
    overlays: { 'base/bin/tool': 'a', 'base/sbin/deep/tool': 'b', 'base/etc/x': '->/nowhere/at/all' },
  });
  assert.ok(entries.has('usr/bin/tool'));
  assert.ok(entries.has('usr/sbin/deep/tool'));
  assert.equal(entries.get('usr/sbin/deep')?.type, 'dir');
  for (const path of ['bin', 'bin/tool', 'sbin', 'usr/bin', 'etc'])
    assert.equal(entries.has(path), false, path);
  const link = entries.get('etc/x');
  assert.equal(link?.type === 'symlink' && link.target, '/nowhere/at/all');
});

test('files have the mode that they have on disk, and belong to root', async (t) => {
  const fleetDir = await folderOf(t, {
    'fleet.yaml': FLEET,
    'overlays/base/root/run': 'x',
    'overlays/web/': '',
  });
  await chmod(join(fleetDir, 'overlays/base/root/run'), 0o4750);
  const fleet = await loadFleet(fleetDir);
  const blades = resolveFleet(fleet);
  const image = new DirectoryFiles(await folderOf(t, IMAGE));
  const entries = await renderOverlay({
    blade: resolveBlade(fleet, 'mail01'),
    fleet,
    blades,
    fleetDir,
    image,
  });
  const entry = entries.find(({ path }) => path === 'root/run');
  assert.deepEqual([entry?.mode, entry?.uid, entry?.gid], [0o4750, 0, 0]);
});

test('no overlay leads out of the root', async (t) => {
  const entries = await render(t, {
    image: { ...IMAGE, out: '->../../../../etc' },
    overlays: { 'base/away': '->/../../usr', 'web/out/x': 'a', 'web/away/bin/y': 'b' },
  });
  assert.ok(entries.has('etc/x'));
  assert.ok(entries.has('usr/bin/y'));
});

test('what cannot be laid over the image is an error that names the file', async (t) => {
  const cases: [Record<string, string>, string, RegExp][] = [
    [{ 'base/usr': 'x' }, 'OVERLAY_CONFLICT', /^overlays\/base\/usr: \/usr is a directory; a file cannot/],
    [
      { 'base/etc/resolv.conf/x': 'x' },
      'OVERLAY_CONFLICT',
      /^overlays\/base\/etc\/resolv.conf: .* is not a directory/,
    ],
    [
      { 'base/a': '->nowhere', 'web/a/b': 'x' },
      'OVERLAY_CONFLICT',
      /^overlays\/web\/a: \/a is a link to nowhere/,
    ],
    [
      { 'base/a': 'x', 'base/a.liquid': 'y' },
      'OVERLAY_FILE',
      /a and overlays\/base\/a.liquid are for the same file/,
    ],
  ];
  for (const [overlays, code, message] of cases)
    await assert.rejects(render(t, { overlays }), { code, message });
});

const IFUPDOWN = {
  'sbin/ifup': 'ELF',
  'sbin/init': 'sysvinit',
  'etc/init.d/nginx': '#!/sbin/openrc-run\n',
  'etc/init.d/networking': '#!/sbin/openrc-run\n',
  'etc/runlevels/default/nginx': '->/etc/init.d/nginx',
};

async function withScripts(t: TestContext): Promise<Map<string, OverlayEntry>> {
  const root = await folderOf(t, IFUPDOWN);
  for (const name of ['nginx', 'networking']) await chmod(join(root, 'etc/init.d', name), 0o755);
  const fleetDir = await folderOf(t, { 'fleet.yaml': FLEET, 'overlays/base/': '', 'overlays/web/': '' });
  const fleet = await loadFleet(fleetDir);
  const blade = resolveBlade(fleet, 'mail01');
  const image = new DirectoryFiles(root);
  const entries = await renderOverlay({ blade, fleet, blades: resolveFleet(fleet), fleetDir, image });
  return new Map(entries.map((entry) => [entry.path, entry]));
}

test('an image with OpenRC and ifupdown is configured by these', async (t) => {
  const entries = await withScripts(t);
  assert.match(textOf(entries.get('etc/network/interfaces')), /^auto mac\/52:54:00:77:00:21=bladeroot$/m);
  assert.equal(entries.get('etc/runlevels/default/networking')?.type, 'symlink');
  assert.equal(entries.get('etc/runlevels/default/nginx')?.type, 'whiteout');
  assert.equal(entries.has('etc/machine-id'), false);
});

test('an image without any network configuration that is known is an error', async (t) => {
  const image = { ...IFUPDOWN, 'sbin/ifup': '->/bin/busybox', 'bin/busybox': 'ELF' };
  await assert.rejects(render(t, { image }), { code: 'NO_NETWORK_CONFIG' });
});

const hasIfup = spawnSync('ifup', ['--version']).status === 0;

test(
  'the real ifup finds the card by its MAC address and gives it the address',
  {
    skip: hasIfup ? false : 'ifupdown is not installed',
  },
  async (t) => {
    const namespace = `br-overlay-${process.pid}`;
    const dir = await folderOf(t, {
      interfaces: textOf((await withScripts(t)).get('etc/network/interfaces')),
      'run/': '',
    });
    await run('ip', ['netns', 'add', namespace]);
    t.after(() => run('ip', ['netns', 'delete', namespace]));
    const inside = (args: string[]): ReturnType<typeof run> =>
      run('ip', ['netns', 'exec', namespace, ...args]);
    await inside([
      'ip',
      'link',
      'add',
      'odd7',
      'address',
      '52:54:00:77:00:21',
      'type',
      'veth',
      'peer',
      'name',
      'other',
    ]);
    await inside([
      'ifup',
      '-a',
      '-i',
      join(dir, 'interfaces'),
      '--state-dir',
      join(dir, 'run'),
      '--no-scripts',
    ]);
    const { stdout } = await inside(['ip', '-4', '-o', 'address', 'show', 'dev', 'odd7']);
    assert.match(stdout, /inet 10\.77\.0\.21\/24/);
    assert.match((await inside(['ip', 'route'])).stdout, /default via 10\.77\.0\.1 dev odd7/);
  },
);
