import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles } from './files.ts';
import { diffPackages, parseDpkgStatus, readPackages, type Packages } from './packages.ts';

const STATUS = `Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.26.0-1
Description: web server
 Version: is told here, too

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.41-5

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.41-4
`;

test('of dpkg, what is installed counts, held or not, in every architecture; not what is only configured', async (t) => {
  assert.deepEqual(
    parseDpkgStatus(STATUS),
    new Map([
      ['nginx', ['1.26.0-1']],
      ['libc6', ['2.41-4', '2.41-5']],
    ]),
  );
  const image = new DirectoryFiles(await folderOf(t, { 'var/lib/dpkg/status': STATUS }));
  assert.equal((await readPackages(image))?.manager, 'dpkg');
  assert.equal(await readPackages(new DirectoryFiles(await folderOf(t, {}))), undefined);
});

test('of Portage, name and version are told apart, and what is just being merged is none', async (t) => {
  const entries = [
    'www-servers/nginx-1.26.2',
    'dev-lang/python-3.12.1-r1',
    'dev-lang/python-3.13.0_rc2',
    'x11-libs/gtk+-3.24.41-r1',
    'media-fonts/font-adobe-100dpi-1.0.4',
    'app-editors/vim-9.1a_pre3_p1',
    'app-misc/-MERGING-jq-1.7',
  ];
  const files = Object.fromEntries(entries.map((entry) => [`var/db/pkg/${entry}/SLOT`, '0\n']));
  const found = await readPackages(new DirectoryFiles(await folderOf(t, files)));
  assert.equal(found?.manager, 'portage');
  assert.deepEqual(Object.fromEntries(found.versions), {
    'app-editors/vim': ['9.1a_pre3_p1'],
    'dev-lang/python': ['3.12.1-r1', '3.13.0_rc2'],
    'media-fonts/font-adobe-100dpi': ['1.0.4'],
    'www-servers/nginx': ['1.26.2'],
    'x11-libs/gtk+': ['3.24.41-r1'],
  });
});

const portage = (versions: Map<string, string[]>): Packages => ({ manager: 'portage', versions });

test('packages that were added, removed, and changed in one slot of several', () => {
  const before = new Map([
    ['python', ['3.12.1', '3.13.0']],
    ['nginx', ['1.26.0']],
    ['jq', ['1.7']],
  ]);
  const after = new Map([
    ['python', ['3.12.2', '3.13.0']],
    ['jq', ['1.7']],
    ['vim', ['9.1']],
  ]);

  assert.deepEqual(diffPackages(portage(before), portage(after)), [
    { name: 'nginx', from: ['1.26.0'], to: [] },
    { name: 'python', from: ['3.12.1'], to: ['3.12.2'] },
    { name: 'vim', from: [], to: ['9.1'] },
  ]);
  assert.deepEqual(diffPackages(portage(after), portage(after)), []);
});
