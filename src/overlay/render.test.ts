import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadFleet } from '../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../fleet/resolve.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../image/files.ts';
import { renderOverlay } from './render.ts';
import { FLEET, IMAGE, render, textOf } from './render.fixture.ts';

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

test('a service that the image does not have is an error with file and line, and the nearest ones', async (t) => {
  await assert.rejects(
    render(t, { blade: 'mail01', fleet: FLEET.replace('stop: [nginx]', 'stop: [ngnix]') }),
    {
      code: 'UNKNOWN_SERVICE',
      message: 'fleet.yaml:6: profiles.mail.services.stop[0]: the image has no service ngnix (blade mail01)',
      hint: 'its systemd knows 2 services, the nearest: nginx',
    },
  );
  // Where it is written in a list that is added to, and by whom.
  await assert.rejects(
    render(t, { fleet: FLEET.replace('{ motto: hello }', '{ motto: hello }, services: { start: [cron] }') }),
    {
      code: 'UNKNOWN_SERVICE',
      message: 'fleet.yaml:3: defaults.services.start[0]: the image has no service cron (blade web01)',
      hint: 'its systemd knows 2 services: nginx, systemd-networkd',
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
    [
      '{{ foo }}',
      '1: there is no variable foo; known: blade, profile, network, vars, blades, fleet, networks',
    ],
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
