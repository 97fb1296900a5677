/** What the command line says of a fleet folder. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { place } from './bladeroot.fixture.ts';

const SPLIT = {
  'fleet.yaml': `name: lab
network: { subnet: 10.77.0.0/24, dns: [10.77.0.1] }
defaults:
  overlays: [base]
  services: { start: [ssh, postfix] }
  vars: { motto: "a # b" }
`,
  'profiles/web.yaml': 'overlays: [web]\nservices:\n  start: [+nginx, -postfix]\n',
  'blades/web01.yaml': 'mac: "52:54:00:77:00:11"\naddress: 10.77.0.11\nprofile: web\n',
  'overlays/base/': '',
  'overlays/web/': '',
};

test('blade show --origin: a column with the file and line of each value', async (t) => {
  const { bladeroot } = await place(t, SPLIT);
  const { stdout } = await bladeroot(['blade', 'show', 'web01', '--origin']);
  const expected = [
    'mac: 52:54:00:77:00:11  # blades/web01.yaml:1',
    '  - 10.77.0.1           # fleet.yaml:2',
    '  - base                # fleet.yaml:4',
    '  - web                 # profiles/web.yaml:1',
    '    - ssh               # fleet.yaml:5',
    '    - nginx             # profiles/web.yaml:3',
    '  motto: "a # b"        # fleet.yaml:6',
  ];
  const lines = stdout.split('\n');
  assert.deepEqual(
    expected.filter((line) => !lines.includes(line)),
    [],
    stdout,
  );
  const json = await bladeroot(['blade', 'show', 'web01', '--origin', '--json']);
  const { services, origins } = JSON.parse(json.stdout);
  assert.deepEqual(services, { start: ['ssh', 'nginx'], stop: [] });
  assert.deepEqual(
    origins.find(({ path }: { path: string[] }) => path.join('.') === 'services.start.1'),
    { path: ['services', 'start', 1], file: 'profiles/web.yaml', line: 3 },
  );
});
