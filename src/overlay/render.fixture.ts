/** For tests: a small image, a small fleet, and what the one becomes for a blade of the other. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { loadFleet } from '../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../fleet/resolve.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../image/files.ts';
import type { OverlayEntry } from './entry.ts';
import { renderOverlay } from './render.ts';

const UNITS = 'usr/lib/systemd/system';
/** systemd with networkd, and nginx that starts. */
export const IMAGE = {
  bin: '->usr/bin',
  'usr/bin/': '',
  'usr/sbin/': '',
  sbin: '->/usr/sbin',
  lib: '->usr/lib',
  'etc/': '',
  'etc/resolv.conf': '->../run/systemd/resolve/stub-resolv.conf',
  'usr/lib/systemd/systemd': '',
  'usr/lib/systemd/systemd-networkd': '',
  'usr/lib/systemd/systemd-networkd-wait-online': '',
  [`${UNITS}/systemd-networkd.service`]: '[Install]\nWantedBy=multi-user.target\n',
  [`${UNITS}/nginx.service`]: '[Install]\nWantedBy=multi-user.target\n',
  'etc/systemd/system/multi-user.target.wants/nginx.service': '->/lib/systemd/system/nginx.service',
};

/** web01 starts nginx, mail01 stops it. */
export const FLEET = `name: lab
network: { subnet: 10.77.0.0/24, gateway: 10.77.0.1, dns: [10.77.0.1], domain: lab.example }
defaults: { overlays: [base], vars: { motto: hello } }
profiles:
  web: { overlays: [web], services: { start: [nginx] }, vars: { role: web } }
  mail: { services: { stop: [nginx] } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web }
  mail01: { mac: "52:54:00:77:00:21", address: 10.77.0.21, profile: mail }
`;

interface Setting {
  blade?: string;
  image?: Record<string, string>;
  fleet?: string;
  overlays?: Record<string, string>;
}

/** The entries of a blade, web01 if nothing else is said, sorted by path. */
export async function renderAll(t: TestContext, setting: Setting): Promise<OverlayEntry[]> {
  const fleetDir = await folderOf(t, {
    'fleet.yaml': setting.fleet ?? FLEET,
    'overlays/base/': '',
    'overlays/web/': '',
    ...Object.fromEntries(
      Object.entries(setting.overlays ?? {}).map(([path, text]) => [`overlays/${path}`, text]),
    ),
  });
  const image = new DirectoryFiles(await folderOf(t, setting.image ?? IMAGE));
  const fleet = await loadFleet(fleetDir);
  const blade = resolveBlade(fleet, setting.blade ?? 'web01');
  const entries = await renderOverlay({ blade, fleet, blades: resolveFleet(fleet), fleetDir, image });
  const paths = entries.map(({ path }) => path);
  assert.deepEqual(paths, paths.toSorted(), 'entries are sorted');
  const kept = entries.filter(({ type }) => type !== 'whiteout');
  assert.equal(new Set(kept.map(({ path }) => path)).size, kept.length, 'each path stands once');
  return entries;
}

/** As `renderAll`, by path; what takes the place of something that is taken away comes before that. */
export async function render(t: TestContext, setting: Setting): Promise<Map<string, OverlayEntry>> {
  return new Map((await renderAll(t, setting)).map((entry) => [entry.path, entry]));
}

export function textOf(entry: OverlayEntry | undefined): string {
  assert.equal(entry?.type, 'file');
  return entry.content.toString();
}
