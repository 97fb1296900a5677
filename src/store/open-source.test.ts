import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { collect } from './byte-reader.ts';
import { DirectorySource } from './directory-source.ts';
import { HttpSource } from './http-source.ts';
import { openSource, openSources } from './open-source.ts';
import { serveStore } from './store-server.fixture.ts';

test('a URL is a web server, anything else a directory; what is written like a URL of another kind is refused', () => {
  for (const text of ['http://host/store', 'https://host:8443/store?versions', 'HTTP://host/']) {
    assert.ok(openSource(text) instanceof HttpSource, text);
  }
  for (const text of ['/var/lib/bladeroot/store', 'store', './http:/store', 'C:store']) {
    const source = openSource(text);
    assert.ok(source instanceof DirectorySource, text);
    assert.equal(source.name, text);
  }
  const refused = {
    code: 'SOURCE_URL',
    message: /https:\/\/HOST\/PATH or a directory, not from s3:\/\/bucket$/,
  };
  assert.throws(() => openSource('s3://bucket'), refused);
});

test('of several, the first that has a thing gives it; of one, it is that one; of none, there is nothing to open', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-open-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'x'), 'from the folder');
  const { url } = await serveStore(t, (_, response) => response.writeHead(404).end());
  const source = openSources([url, directory]);
  t.after(() => source.close?.());
  assert.equal(source.name, `${url} or ${directory}`);
  assert.equal((await collect(await source.get('x'))).toString(), 'from the folder');

  assert.ok(openSources([directory]) instanceof DirectorySource);
  assert.throws(() => openSources([]), { code: 'SOURCE_URL' });
});
