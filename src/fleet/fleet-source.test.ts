import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { addBladeTo } from './add-blade.ts';
import { FleetErrors } from './findings.ts';
import { loadFleet, loadFolder, parseFleet, parseFolder, readFleetFiles } from './load.ts';
import { folderOf } from './folder.fixture.ts';

const HEAD = 'name: lab\nnetwork: { subnet: 10.77.0.0/24 }\n';
const WEB01 = 'mac: "52:54:00:77:00:11"\naddress: 10.77.0.11\nprofile: web\n';

/** What loading these files says, one finding a line. */
function findingsOf(files: Record<string, string>, overlays: string[] = []): string[] {
  try {
    parseFolder({ texts: new Map(Object.entries(files)), overlays });
    return [];
  } catch (error) {
    assert.ok(error instanceof FleetErrors, String(error));
    return error.message.split('\n');
  }
}

test('a fleet in many files is the same as in one', async (t) => {
  const folder = await folderOf(t, {
    'fleet.yaml': `${HEAD}profiles:\n  web: { overlays: [web] }\nblades:\n  bare: { mac: "52:54:00:77:00:12", address: 10.77.0.12 }\n`,
    'profiles/mail.yaml': '# mail\nextends: web\nkernelArgs: [quiet]\n',
    'profiles/empty.yaml': '# nothing of its own\n',
    'profiles/README.md': 'no profile',
    'profiles/.hidden.yaml': '[',
    'blades/rack1/web01.yaml': WEB01,
    'overlays/web/': '',
  });
  const one = `${HEAD}profiles:
  web: { overlays: [web] }
  empty: {}
  mail: { extends: web, kernelArgs: [quiet] }
blades:
  bare: { mac: "52:54:00:77:00:12", address: 10.77.0.12 }
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web }
`;
  assert.deepEqual(await loadFleet(folder), parseFleet(one, ['web']));
});

test('a thing is found in its file, by its line and the way to it there', () => {
  const texts = new Map([
    ['fleet.yaml', `${HEAD}profiles:\n  web:\n    kernelArgs:\n      - quiet\n`],
    ['profiles/mail.yaml', '# mail\nextends: web\nkernelArgs:\n  - quiet\n'],
    ['blades/rack1/web01.yaml', WEB01],
  ]);
  const { source } = parseFolder({ texts, overlays: [] });
  const places: [(string | number)[], object][] = [
    [
      ['profiles', 'web', 'kernelArgs', 0],
      { file: 'fleet.yaml', line: 6, path: ['profiles', 'web', 'kernelArgs', 0] },
    ],
    [['profiles', 'mail', 'kernelArgs', 0], { file: 'profiles/mail.yaml', line: 4, path: ['kernelArgs', 0] }],
    [['blades', 'web01'], { file: 'blades/rack1/web01.yaml', line: 1, path: [] }],
    [['blades', 'web01', 'profile'], { file: 'blades/rack1/web01.yaml', line: 3, path: ['profile'] }],
    [['blades', 'web02'], { file: 'fleet.yaml', line: 1, path: ['blades', 'web02'] }],
  ];
  for (const [path, place] of places) assert.deepEqual(source.placeOf(path), place);
});

test('each fault names the file in which it stands, and the other where there are two', () => {
  const files = {
    'fleet.yaml': `${HEAD}profiles:\n  web: {}\nblades:\n  db: { mac: "52:54:00:77:00:11", address: 10.77.0.12 }\n`,
    'profiles/web.yaml': 'kernelArgs: [quiet]\n',
    'profiles/mail.yml': 'extends: web\n',
    'blades/Web_1.yaml': 'mac: "52:54:00:77:00:19"\naddress: 10.77.0.19\n',
    'blades/rack1/web01.yaml': WEB01,
    'blades/rack2/web01.yaml': WEB01,
    'blades/web02.yaml':
      'mac: "52:54:00:77:00:13"\naddress: 10.78.0.13\nprofile: wbe\nkernelargs: []\nprofile: wbe\n',
  };
  assert.deepEqual(findingsOf(files), [
    'blades/Web_1.yaml:1: blades.Web_1: the name "Web_1" is not the name of a blade; write 1 to 63 lower-case letters, digits and inner hyphens (RFC 1123) such as web01',
    'blades/rack1/web01.yaml:1: blades.web01.mac: 52:54:00:77:00:11 stands twice: blade db has it already (fleet.yaml:6); each blade needs its own',
    'blades/rack2/web01.yaml:1: blades.web01 stands in blades/rack1/web01.yaml:1 as well; remove one of the two',
    'blades/web02.yaml:2: blades.web02.address: 10.78.0.13 is not in the subnet 10.77.0.0/24; write an address between 10.77.0.0 and 10.77.0.255',
    'blades/web02.yaml:4: blades.web02.kernelargs: is not a known key; did you mean kernelArgs?',
    'blades/web02.yaml:5: profile stands here a second time, first in line 3; remove one',
    'blades/web02.yaml:5: blades.web02.profile[0]: there is no profile wbe; did you mean web?; profiles: web',
    'profiles/mail.yml:1: is not read: its name has to end in .yaml; name it profiles/mail.yaml',
    'profiles/web.yaml:1: profiles.web stands in fleet.yaml:4 as well; remove one of the two',
  ]);
});

test('a file that is no map, and one that is no YAML', () => {
  const list = findingsOf({ 'fleet.yaml': HEAD, 'profiles/web.yaml': '- a\n' }).join('\n');
  assert.match(list, /^profiles\/web\.yaml:1: profiles\.web: \["a"\] is not a map; write [^\n]*$/);
  assert.deepEqual(findingsOf({ 'fleet.yaml': `${HEAD}blades: [\n`, 'blades/a.yaml': 'b: [\n' }).length, 2);
  const noMap = findingsOf({ 'fleet.yaml': `${HEAD}blades: none\n`, 'blades/web01.yaml': WEB01 });
  assert.match(noMap.join('\n'), /^fleet\.yaml:3: blades: "none" is not a map; write [^\n]*$/);
});

test('a blade is added as a file of its own where blades have such', async (t) => {
  const folder = await folderOf(t, {
    'fleet.yaml': HEAD,
    'profiles/web.yaml': '',
    'blades/web01.yaml': WEB01,
  });
  const blade = { mac: '52:54:00:00:00:09', address: '10.77.0.19', profile: ['web'] };
  const { fleet, file } = await addBladeTo(folder, 'web09', blade);
  assert.equal(file, 'blades/web09.yaml');
  assert.deepEqual(await loadFleet(folder), fleet);
  assert.equal(
    await readFile(join(folder, file), 'utf8'),
    'mac: "52:54:00:00:00:09"\naddress: 10.77.0.19\nprofile: web\n',
  );
  const before = await readFleetFiles(folder);
  for (const [name, code] of [
    ['../evil', 'BAD_EDIT'],
    ['Web_1', 'BAD_EDIT'],
    ['web01', 'NAME_TAKEN'],
  ] as const) {
    await assert.rejects(addBladeTo(folder, name, { ...blade, address: '10.77.0.20' }), { code });
  }
  assert.deepEqual(await readFleetFiles(folder), before);
  const { source } = await loadFolder(folder);
  assert.equal(source.placeOf(['blades', 'web09']).file, file);
});
