import assert from 'node:assert/strict';
import { readFile, realpath } from 'node:fs/promises';
import { test } from 'node:test';
import { DirectoryFiles } from '../image/files.ts';
import { run } from '../system/run.ts';
import { findLibraries } from './libraries.ts';
import { sampleElf, sampleImage } from './sample-image.fixture.ts';

const library = sampleElf({});

async function realPaths(paths: string[]): Promise<Set<string>> {
  return new Set((await Promise.all(paths.map((path) => realpath(path)))).sort());
}

for (const path of ['usr/bin/tar', 'usr/sbin/mke2fs', 'usr/bin/lsblk']) {
  test(`/${path} of this machine gets the libraries that its own ld.so loads`, async () => {
    const content = await readFile(`/${path}`);
    const found = await findLibraries(new DirectoryFiles('/'), [{ path, content }]);
    const { stdout } = await run('ldd', [`/${path}`]);
    const loaded = [...stdout.matchAll(/(\/\S+) \(/g)].map(([, name]) => name ?? '');
    assert.deepEqual(await realPaths(found.map((name) => `/${name}`)), await realPaths(loaded));
  });
}

test('libraries of libraries come along, and what a script needs is nothing', async () => {
  await using image = await sampleImage({
    'usr/lib64/liba.so': sampleElf({ needed: ['libb.so'] }),
    'usr/lib64/libb.so': sampleElf({ needed: ['liba.so'] }),
  });
  const programs = [
    { path: 'bin/x', content: sampleElf({ needed: ['liba.so'] }) },
    { path: 'bin/script', content: Buffer.from('#!/bin/sh\n') },
  ];
  assert.deepEqual(await findLibraries(image.files, programs), ['usr/lib64/liba.so', 'usr/lib64/libb.so']);
});

test('$ORIGIN in the search path is where the program lies', async () => {
  await using image = await sampleImage({ 'opt/x/lib/liba.so': library });
  const content = sampleElf({ needed: ['liba.so'], runpath: '$ORIGIN/../lib' });
  assert.deepEqual(await findLibraries(image.files, [{ path: 'opt/x/bin/x', content }]), [
    'opt/x/lib/liba.so',
  ]);
});

test('a library of another machine is passed over', async () => {
  await using image = await sampleImage({
    'lib64/liba.so': sampleElf({ machine: 183 }),
    'usr/lib/x86_64-linux-gnu/liba.so': library,
  });
  const program = { path: 'bin/x', content: sampleElf({ needed: ['liba.so'] }) };
  assert.deepEqual(await findLibraries(image.files, [program]), ['usr/lib/x86_64-linux-gnu/liba.so']);
});

test('ld.so.conf and what it includes are searched, in an image that has the cache made of them', async () => {
  const configured = {
    'etc/ld.so.conf': '# ours\ninclude ld.so.conf.d/*.conf\n',
    'etc/ld.so.conf.d/gcc.conf': '/usr/lib/gcc/13\n',
    'etc/ld.so.conf.d/gcc.conf.bak': '/elsewhere\n',
    'usr/lib/gcc/13/libstdc++.so.6': library,
  };
  const program = { path: 'bin/x', content: sampleElf({ needed: ['libstdc++.so.6'] }) };
  await using image = await sampleImage({ ...configured, 'etc/ld.so.cache': '' });
  assert.deepEqual(await findLibraries(image.files, [program]), ['usr/lib/gcc/13/libstdc++.so.6']);
  await using without = await sampleImage(configured);
  await assert.rejects(findLibraries(without.files, [program]), {
    code: 'LIBRARY_MISSING',
    hint: /ldconfig/,
  });
});

test('a missing library is named, with the program and the library that need it', async () => {
  await using image = await sampleImage({ 'lib64/liba.so': sampleElf({ needed: ['libb.so.2'] }) });
  const program = { path: 'usr/sbin/sfdisk', content: sampleElf({ needed: ['liba.so'] }) };
  await assert.rejects(findLibraries(image.files, [program]), {
    code: 'LIBRARY_MISSING',
    message: '/usr/sbin/sfdisk needs libb.so.2 through /lib64/liba.so, which the image lacks',
  });
});
