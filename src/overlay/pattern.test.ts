import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { folderOf } from '../fleet/folder.fixture.ts';
import { parseFleet } from '../fleet/load.ts';
import { resolveFleet } from '../fleet/resolve.ts';
import { DirectoryFiles } from '../image/files.ts';
import { encodeOverlay } from './archive.ts';
import { IMAGE } from './render.fixture.ts';
import { OverlayRenderer } from './render.ts';

/** All that can depend on what a template of a blade says. */
const OVERLAYS = {
  'overlays/base/etc/motd.liquid': '{{ vars.text }}',
  'overlays/base/etc/replaced.liquid': '{{ blade.name }}',
  'overlays/base/etc/app.conf.append.liquid': '{{ vars.text }}',
  'overlays/base/etc/new.append.liquid': '{{ vars.text }}',
  'overlays/base/etc/passwd.append.liquid': 'app:x:{{ vars.uid }}:0::/:/bin/sh',
  'overlays/base/etc/systemd/system/own.service.liquid':
    "{% if vars.target != 'none' %}[Install]\nWantedBy={{ vars.target }}\n{% endif %}",
  'overlays/base/etc/systemd/system/nginx.service.d/more.conf.liquid':
    '[Install]\nAlias={{ vars.target }}.service\n',
  'overlays/base/overlay.yaml': 'etc/motd: { owner: app, mode: 0600 }\n',
  'overlays/web/etc/replaced': 'by web\n',
  'overlays/web/etc/app.conf.append': 'web\n',
};

const vars = fc.record({
  text: fc.constantFrom('', 'a', 'b', 'a\n'),
  uid: fc.constantFrom(7, 8),
  target: fc.constantFrom('none', 'x.target', 'y.target'),
});
const blade = fc.record({
  vars,
  profile: fc.constantFrom(['web'], []),
  start: fc.subarray(['nginx', 'own']),
});

test('whatever blades have in common, each is rendered as if it were alone', async (t) => {
  const names = { 'overlays/base/': '', 'overlays/web/': '', ...OVERLAYS };
  const fleetDir = await folderOf(t, names);
  const image = new DirectoryFiles(
    await folderOf(t, { ...IMAGE, 'etc/passwd': 'root:x:0:0::/:/bin/sh\n', 'etc/app.conf': 'image' }),
  );
  let shared = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(blade, { minLength: 2, maxLength: 8 }), async (blades) => {
      const fleet = parseFleet(
        JSON.stringify({
          name: 'lab',
          network: { subnet: '10.77.0.0/24' },
          defaults: { overlays: ['base'] },
          profiles: { web: { overlays: ['web'] } },
          blades: Object.fromEntries(
            blades.map(({ start, vars: own, profile }, index) => [
              `b${index}`,
              {
                mac: `52:54:00:77:00:0${index}`,
                address: `10.77.0.${10 + index}`,
                profile,
                vars: own,
                services: { start: own.target === 'none' ? start.filter((name) => name !== 'own') : start },
              },
            ]),
          ),
        }),
        ['base', 'web'],
      );
      const request = { fleet, blades: resolveFleet(fleet), fleetDir, image };
      const together = new OverlayRenderer(request);
      const rendered = await Promise.all(request.blades.map(async (one) => await together.render(one)));
      for (const [index, one] of request.blades.entries()) {
        const alone = (await new OverlayRenderer(request).rootOf(one)).entries();
        assert.deepEqual(rendered[index]?.entries, alone);
        assert.ok(encodeOverlay(rendered[index]?.entries ?? []).equals(encodeOverlay(alone)));
      }
      // A directory that is laid once and stands in two blades' entries is one object.
      const dirs = rendered.map(({ entries }) => entries.find(({ type }) => type === 'dir'));
      shared += dirs.length - new Set(dirs).size;
    }),
    { numRuns: 25 },
  );
  assert.ok(shared > 0, 'some were alike');
});
