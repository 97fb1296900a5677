import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadFleet } from '../fleet/load.ts';
import { resolveFleet } from '../fleet/resolve.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../image/files.ts';
import { Store } from '../store/store.ts';
import { renderFleet, type RenderedFleet } from './render-fleet.ts';
import { readRendered, writeRendered } from './rendered.ts';
import { FLEET, IMAGE } from './render.fixture.ts';

interface Scene {
  fleetDir: string;
  store: Store;
  /** Renders as publishing does, on top of what was rendered last. */
  render(image?: string): Promise<RenderedFleet>;
  write(path: string, text: string): Promise<void>;
}

async function scene(t: TestContext): Promise<Scene> {
  const fleetDir = await folderOf(t, {
    'fleet.yaml': FLEET,
    'overlays/base/etc/motd': 'hello\n',
    'overlays/web/etc/web': 'web\n',
    'overlays/web/secrets/': '',
    'overlays/web/etc/all.liquid': '{% for b in blades %}{{ b.vars.motto }} {% endfor %}',
  });
  const root = await folderOf(t, IMAGE);
  const state = await folderOf(t, {});
  const store = await Store.open(join(state, 'store'));
  const render = async (id = 'image'): Promise<RenderedFleet> => {
    const fleet = await loadFleet(fleetDir);
    const before = await readRendered(state, id);
    const blades = resolveFleet(fleet);
    const image = new DirectoryFiles(root);
    const made = await renderFleet({ fleet, blades, fleetDir, image, store, before });
    await writeRendered(state, id, made.overlays);
    return made;
  };
  return { fleetDir, store, render, write: (path, text) => writeFile(join(fleetDir, path), text) };
}

test('only what has changed is rendered again', async (t) => {
  const { render, write } = await scene(t);
  const first = await render();
  assert.equal(first.rendered, 2);
  const again = await render();
  assert.equal(again.rendered, 0);
  assert.deepEqual(again.overlays, first.overlays);

  await write('overlays/web/etc/web', 'another web\n');
  const web = await render();
  assert.equal(web.rendered, 1);
  assert.notEqual(web.overlays.get('web01')?.digest, first.overlays.get('web01')?.digest);
  assert.equal(web.overlays.get('mail01')?.digest, first.overlays.get('mail01')?.digest);

  await write('overlays/web/secrets/key.age', '-----BEGIN AGE ENCRYPTED FILE-----\n');
  const secret = await render();
  assert.equal(secret.rendered, 1, 'secrets count');
  assert.equal(secret.overlays.get('web01')?.secrets, undefined, 'nobody has accepted web01');

  await write('overlays/base/overlay.yaml', 'etc/motd: { mode: 0600 }\n');
  assert.equal((await render()).rendered, 2, 'overlay.yaml counts');
  await write('fleet.yaml', FLEET.replace('profile: mail', 'profile: mail, vars: { motto: bye }'));
  assert.equal((await render()).rendered, 2, 'a template of web01 lists the vars of all blades');
  await write('fleet.yaml', FLEET.replace('10.77.0.21', '10.77.0.22'));
  assert.equal((await render()).rendered, 2, 'every blade has all addresses in /etc/hosts');
});

test('for another image, or where an archive is gone, it is rendered anew', async (t) => {
  const { render, store } = await scene(t);
  const { overlays } = await render();
  const digest = overlays.get('web01')?.digest ?? '';
  await rm(store.blobPath(digest));
  const mended = await render();
  assert.equal(mended.rendered, 1);
  assert.ok(await store.hasBlob(digest));
  assert.equal((await render('another image')).rendered, 2);
});

test('a blade that cannot be rendered fails all of them', async (t) => {
  const { render, write } = await scene(t);
  await write('overlays/base/etc/bad.liquid', '{{ nothing }}');
  await assert.rejects(render(), { code: 'TEMPLATE_INVALID' });
});
