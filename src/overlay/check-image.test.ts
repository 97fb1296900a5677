import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { findingText } from '../fleet/findings.ts';
import { loadFolder } from '../fleet/load.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../image/files.ts';
import { checkAgainstImage } from './check-image.ts';
import { IMAGE } from './render.fixture.ts';

const HEAD = 'name: lab\nnetwork: { subnet: 10.77.0.0/24 }\n';
const WEB01 = 'mac: "52:54:00:77:00:11"\naddress: 10.77.0.11\nprofile: web\n';
const WEB02 = WEB01.replaceAll('11', '12');

async function findings(
  t: TestContext,
  files: Record<string, string>,
  image: Record<string, string> = IMAGE,
  severity: 'errors' | 'warnings' = 'errors',
): Promise<string[]> {
  const fleetDir = await folderOf(t, { 'fleet.yaml': HEAD, 'blades/web01.yaml': WEB01, ...files });
  const found = await checkAgainstImage({
    ...(await loadFolder(fleetDir)),
    fleetDir,
    image: new DirectoryFiles(await folderOf(t, image)),
    signal: t.signal,
  });
  return found[severity].map(findingText);
}

test('services that neither the image nor an overlay has, each once, where it is written', async (t) => {
  const found = await findings(t, {
    'blades/web02.yaml': `${WEB02}services:\n  start: [-ngnix]\n  stop: [exim4]\n`,
    'profiles/web.yaml': 'overlays: [web]\nservices:\n  start:\n    - nginx\n    - own\n    - ngnix\n',
    'overlays/web/etc/systemd/system/own.service': '[Install]\nWantedBy=multi-user.target\n',
  });
  assert.equal(found.length, 2, found.join('\n'));
  assert.match(
    found[0] ?? '',
    /^profiles\/web\.yaml:6: profiles\.web\.services\.start\[2\]: the image has no service ngnix; .*nginx/,
  );
  assert.match(
    found[1] ?? '',
    /^blades\/web02\.yaml:6: blades\.web02\.services\.stop\[0\]: the image has no service exim4; /,
  );
});

test('a boot order is for a blade that can set it', async (t) => {
  const files = { 'profiles/web.yaml': 'bootOrder: network-first\n' };
  assert.deepEqual(await findings(t, files, { ...IMAGE, 'usr/bin/efibootmgr': '' }), []);
  const [found, ...more] = await findings(t, files);
  assert.match(found ?? '', /^profiles\/web\.yaml:1: profiles\.web\.bootOrder: .* install efibootmgr/);
  assert.deepEqual(more, []);
});

test('a file system is for a blade whose image can make it', async (t) => {
  const files = {
    'profiles/web.yaml':
      'disks:\n  partitions:\n    data: { size: 1GiB, fs: xfs }\n    swap: { size: 1GiB, fs: swap }\n',
  };
  assert.deepEqual(await findings(t, files, { ...IMAGE, 'usr/sbin/mkfs.xfs': '' }), []);
  assert.deepEqual(await findings(t, files), [
    'profiles/web.yaml:3: profiles.web.disks.partitions.data.fs: the agent cannot make it: the image has no mkfs.xfs; install xfsprogs (sys-fs/xfsprogs) in the tree',
  ]);
});

test('a mirror is for a blade whose image has mdadm', async (t) => {
  const files = { 'profiles/web.yaml': 'disks:\n  raid: 1\n' };
  assert.deepEqual(await findings(t, files, { ...IMAGE, 'usr/sbin/mdadm': '' }), []);
  assert.deepEqual(await findings(t, files), [
    'profiles/web.yaml:2: profiles.web.disks.raid: the image has no mdadm, which makes the mirror; install mdadm (sys-fs/mdadm) in the tree',
  ]);
});

test('templates and overlays that do not go with the image, with their file and line, for all blades', async (t) => {
  const files = {
    'blades/web02.yaml': `${WEB02}overlays: [-web, conf]\n`,
    'profiles/web.yaml': 'overlays: [web]\n',
    'overlays/web/etc/motd.liquid': 'hello\n{{ blade.nam }}\n',
    'overlays/conf/usr/bin': 'a file where the image has a directory',
  };
  const found = await findings(t, files);
  assert.equal(found.length, 2, found.join('\n'));
  assert.match(
    found[0] ?? '',
    /^overlays\/web\/etc\/motd\.liquid:2: there is no variable blade\.nam; did you/,
  );
  assert.match(found[1] ?? '', /^overlays\/conf\/usr\/bin: \/usr\/bin is a directory; /);
  const twins = await findings(t, {
    'profiles/web.yaml': 'overlays: [web]\n',
    'overlays/web/etc/motd': 'x',
    'overlays/web/etc/motd.liquid': 'x',
  });
  assert.match(
    twins.join('\n'),
    /^overlays\/web\/etc\/motd: .*motd and .*motd\.liquid are for the same file/,
  );
});

test('a fleet that goes with the image has no findings; an image without services is no fault of the fleet', async (t) => {
  const files = {
    'profiles/web.yaml': 'overlays: [web]\nservices: { start: [nginx] }\n',
    'overlays/web/etc/motd': '',
  };
  assert.deepEqual(await findings(t, files), []);
  await assert.rejects(findings(t, files, { 'etc/': '' }), { name: 'BladerootError' });
});

test('a service that is stopped and starts all the same is a warning, once, with what starts it', async (t) => {
  const units = 'usr/lib/systemd/system';
  const image = {
    ...IMAGE,
    [`${units}/default.target`]: '[Unit]\n',
    [`${units}/default.target.wants/app.service`]: '->../app.service',
    [`${units}/app.service`]: '[Unit]\nRequires=nginx.service\n',
  };
  const files = {
    'blades/web02.yaml': WEB02,
    'profiles/web.yaml': 'services:\n  stop: [nginx]\n',
  };
  assert.deepEqual(await findings(t, files, image, 'warnings'), [
    'profiles/web.yaml:2: profiles.web.services.stop[0]: nginx starts all the same: app.service starts it; stop that too, or mask nginx in an overlay (docs/overlays.md)',
  ]);
  assert.deepEqual(await findings(t, files, image), []);
  const masked = {
    ...files,
    'profiles/web.yaml': 'overlays: [quiet]\nservices:\n  stop: [nginx]\n',
    'overlays/quiet/etc/systemd/system/nginx.service': '->/dev/null',
  };
  assert.deepEqual(await findings(t, masked, image, 'warnings'), []);
  assert.deepEqual(await findings(t, masked, image), []);
});
