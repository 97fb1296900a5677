import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { findRelease } from './find-release.ts';
import { keys, listen, signRelease, testBlade } from './release.fixture.ts';

const web01 = { macs: ['52:54:00:00:00:07', '00:00:00:00:00:00'] };

async function rootWith(t: TestContext, body: Uint8Array, status = 200): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/releases/current' ? status : 404).end(body);
  });
  return await listen(t, server);
}

/** Where nobody listens any more. */
async function deadRoot(t: TestContext): Promise<string> {
  const server = createServer();
  const url = await listen(t, server);
  server.close();
  return url;
}

test('the release of a root is found, and which blade of it this machine is', async (t) => {
  const envelope = signRelease({ sequence: 7 });
  const root = await rootWith(t, envelope);
  const found = await findRelease([root], keys.publicKey, web01);
  assert.equal(found.root, root);
  assert.equal(found.blade?.name, 'web01');
  assert.equal(found.release.statement.sequence, 7);
  assert.deepEqual(found.release.envelope, envelope, 'the bytes that were signed');
});

test('roots that are down, altered, of another fleet or without this machine are passed over', async (t) => {
  const good = signRelease();
  const altered = Buffer.from(good);
  altered[60] = (altered[60] ?? 0) ^ 1;
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const roots = [
    await deadRoot(t),
    await rootWith(t, Buffer.from('busy'), 503),
    await rootWith(t, altered),
    await rootWith(t, signRelease({}, stranger)),
  ];
  const without = await rootWith(t, signRelease({ blades: [testBlade('other', '52:54:00:00:00:01')] }));
  const root = await rootWith(t, good);
  assert.equal((await findRelease([...roots, without, root], keys.publicKey, web01)).root, root);
  const unclaimed = await findRelease([...roots, without], keys.publicKey, web01);
  assert.deepEqual([unclaimed.root, unclaimed.blade], [without, undefined]);

  await assert.rejects(findRelease(roots, keys.publicKey, web01), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, 'NO_ROOT');
    const said = error.message.replace('no root has a release for this machine: ', '');
    // Each root by its URL, with its reason up to the next root's URL.
    const reasons = roots.map((url, i) => {
      const next = roots[i + 1];
      return said.slice(said.indexOf(`${url}: `), next === undefined ? undefined : said.indexOf(`${next}: `));
    });
    const expected = [/ECONNREFUSED/, /it answers 503/, /not signed|altered/, /this fleet's key/];
    for (const [i, pattern] of expected.entries()) assert.match(reasons[i] ?? '', pattern);
    return true;
  });
});

test('a blade is known by its MAC, else by its serial number, else by its GUID', async (t) => {
  const { mac: _mac, ...bare } = testBlade('x', '');
  const guid = '4c4c4544-0034-3010-8048-b7c04f4e4d32';
  const root = await rootWith(
    t,
    signRelease({
      blades: [
        { ...bare, name: 'by-guid', guid },
        { ...bare, name: 'by-serial', serial: 'SN 7' },
        testBlade('by-mac', '52:54:00:00:00:01'),
      ],
    }),
  );
  const nameOf = async (macs: string[], serial?: string, uuid?: string): Promise<string | undefined> =>
    (await findRelease([root], keys.publicKey, { macs, serial, guid: uuid })).blade?.name;
  const other = '52:54:00:00:00:99';
  assert.equal(await nameOf([other, '52:54:00:00:00:01'], 'SN 7', guid), 'by-mac');
  assert.equal(await nameOf([other], 'SN 7', guid), 'by-serial');
  assert.equal(await nameOf([other], 'sn 7', guid), 'by-guid');
  assert.equal(await nameOf([other]), undefined);
});
