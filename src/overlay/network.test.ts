import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { run } from '../system/run.ts';
import { nameBootCard } from './network.ts';
import { FLEET, IMAGE, render, textOf } from './render.fixture.ts';

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

const IFUPDOWN = {
  'sbin/ifup': 'ELF',
  'sbin/init': 'sysvinit',
  'etc/init.d/nginx': '#!/sbin/openrc-run\n',
  'etc/init.d/networking': '#!/sbin/openrc-run\n',
  'etc/runlevels/default/nginx': '->/etc/init.d/nginx',
};

test('a blade that is known by its serial number gets its card named where it is installed', async (t) => {
  const fleet = FLEET.replace('mac: "52:54:00:77:00:11"', 'serial: SN7').replace(
    'mac: "52:54:00:77:00:21"',
    'guid: 4C4C4544-0034-3010-8048-b7c04f4e4d32',
  );
  for (const [blade, path, image, line] of [
    ['web01', 'etc/systemd/network/10-bladeroot.network', IMAGE, /^MACAddress=3c:ec:ef:00:00:01$/m],
    ['mail01', 'etc/network/interfaces', IFUPDOWN, /^auto mac\/3c:ec:ef:00:00:01=bladeroot$/m],
    [
      'mail01',
      'etc/udev/rules.d/70-bladeroot-net.rules',
      NETIFRC,
      /ATTR\{address\}=="3c:ec:ef:00:00:01", NAME="lan0"$/m,
    ],
    [
      'web01',
      MANAGER_FILE,
      {
        ...MANAGER,
        'sbin/init': '->/lib/systemd/systemd',
        'lib/systemd/systemd': '',
        'usr/lib/systemd/system/nginx.service': '[Unit]\n',
      },
      /^mac-address=3c:ec:ef:00:00:01$/m,
    ],
  ] as const) {
    const said = textOf((await render(t, { fleet, blade, image })).get(path));
    assert.doesNotMatch(said, /undefined|([0-9a-f]{2}:){5}/);
    const slot = await folderOf(t, { [path]: said });
    await nameBootCard(slot, '3c:ec:ef:00:00:01');
    assert.match(await readFile(join(slot, path), 'utf8'), line);
  }
});

test('an image with OpenRC and ifupdown is configured by these', async (t) => {
  const entries = await render(t, { blade: 'mail01', image: IFUPDOWN });
  assert.match(textOf(entries.get('etc/network/interfaces')), /^auto mac\/52:54:00:77:00:21=bladeroot$/m);
  assert.equal(entries.get('etc/runlevels/default/networking')?.type, 'symlink');
  assert.equal(entries.get('etc/runlevels/default/nginx')?.type, 'whiteout');
  assert.equal(entries.has('etc/machine-id'), false);
});

const MANAGER = {
  'usr/sbin/NetworkManager': 'ELF',
  'usr/lib/systemd/system/NetworkManager.service': '[Install]\nWantedBy=multi-user.target\n',
};
const MANAGER_WANTED = 'etc/systemd/system/multi-user.target.wants/NetworkManager.service';
const MANAGER_FILE = 'etc/NetworkManager/system-connections/bladeroot.nmconnection';

test('NetworkManager has the address where it starts in the image, or where there is nothing else', async (t) => {
  const enabled = { [MANAGER_WANTED]: '->/usr/lib/systemd/system/NetworkManager.service' };
  const entries = await render(t, { image: { ...IMAGE, ...MANAGER, ...enabled } });
  assert.equal(
    textOf(entries.get(MANAGER_FILE)),
    `[connection]
id=bladeroot
type=ethernet
autoconnect-priority=100

[ethernet]
mac-address=52:54:00:77:00:11

[ipv4]
method=manual
address1=10.77.0.11/24,10.77.0.1
dns=10.77.0.1;
dns-search=lab.example;

[ipv6]
method=auto
`,
  );
  assert.equal(entries.get(MANAGER_FILE)?.mode, 0o600);
  assert.equal(entries.has('etc/systemd/network/10-bladeroot.network'), false);

  const notStarted = await render(t, { image: { ...IMAGE, ...MANAGER } });
  assert.equal(notStarted.has(MANAGER_FILE), false, 'networkd, where NetworkManager is merely installed');
  const alone = Object.fromEntries(
    Object.entries({ ...IMAGE, ...MANAGER }).filter(([path]) => !path.includes('networkd')),
  );
  const only = await render(t, { image: alone });
  assert.ok(only.has(MANAGER_FILE));
  assert.equal(only.get(MANAGER_WANTED)?.type, 'symlink', 'it is enabled');
});

const NETIFRC = {
  'etc/init.d/net.lo': '#!/sbin/openrc-run\n',
  'etc/init.d/nginx': '#!/sbin/openrc-run\n',
  'etc/runlevels/boot/net.lo': '->/etc/init.d/net.lo',
  'etc/runlevels/default/nginx': '->/etc/init.d/nginx',
};

test('netifrc of Gentoo: udev names the card, conf.d/net has its address, and its script starts', async (t) => {
  const entries = await render(t, { blade: 'mail01', image: NETIFRC });
  const settings = 'config_lan0="10.77.0.21/24"\nroutes_lan0="default via 10.77.0.1"\n';
  assert.equal(textOf(entries.get('etc/conf.d/net')), settings);
  assert.equal(
    textOf(entries.get('etc/udev/rules.d/70-bladeroot-net.rules')),
    'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="52:54:00:77:00:21", NAME="lan0"\n',
  );
  const script = entries.get('etc/init.d/net.lan0');
  assert.equal(script?.type === 'symlink' && script.target, 'net.lo');
  const started = entries.get('etc/runlevels/default/net.lan0');
  assert.equal(started?.type === 'symlink' && started.target, '/etc/init.d/net.lan0');
  const { stdout } = await run('sh', ['-c', `${settings}printf '%s|%s' "$config_lan0" "$routes_lan0"`]);
  assert.equal(stdout, '10.77.0.21/24|default via 10.77.0.1', 'a shell reads it so');
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
      interfaces: textOf(
        (await render(t, { blade: 'mail01', image: IFUPDOWN })).get('etc/network/interfaces'),
      ),
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
