/** For tests: a tree of which a release can be made, with the least that kernel, initrd and overlays take. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { sampleElf, wholeImage, type Sample } from '../src/initrd/sample-image.fixture.ts';
import { PROGRAM_AGENT, PROGRAM_NODE } from '../src/tree/program.ts';

const UNITS = 'usr/lib/systemd/system';

/** systemd with nginx and postfix, two packages of dpkg, and the program's places with nothing to run in them. */
function publishableImage(): Sample {
  const unit = '[Install]\nWantedBy=multi-user.target\n';
  return {
    ...wholeImage(),
    [PROGRAM_NODE]: sampleElf({}),
    [PROGRAM_AGENT]: 'agent',
    'usr/lib/systemd/systemd': sampleElf({}),
    'usr/sbin/init': { target: '../lib/systemd/systemd' },
    'usr/lib/systemd/systemd-networkd': sampleElf({}),
    ...Object.fromEntries(
      ['systemd-networkd', 'nginx', 'postfix'].map((name) => [`${UNITS}/${name}.service`, unit]),
    ),
    'var/lib/dpkg/status': dpkgStatus({ nginx: '1.26.0-1', libc6: '2.41-5', mawk: '1.3.4-2' }),
  };
}

export function dpkgStatus(versions: Readonly<Record<string, string>>): string {
  return Object.entries(versions)
    .map(
      ([name, version]) =>
        `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\nDescription: it\n of several lines\n\n`,
    )
    .join('');
}

/** The directory of such a tree; `files` are added or take the place of others. */
export async function publishableTree(t: TestContext, files: Sample = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'bladeroot-tree-'));
  t.after(async () => await rm(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries({ ...publishableImage(), ...files })) {
    const full = join(root, path);
    await mkdir(dirname(full), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content)) {
      await writeFile(full, content, { mode: 0o755 });
    } else {
      await symlink(content.target, full);
    }
  }
  return root;
}

export const FLEET = `name: lab
network: { subnet: 10.77.0.0/24, gateway: 10.77.0.1 }
profiles:
  web: { overlays: [web], services: { start: [nginx] } }
  mail: { services: { start: [postfix] } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web }
  mail01: { mac: "52:54:00:77:00:21", address: 10.77.0.21, profile: mail }
`;

export const FLEET_FOLDER = { 'fleet.yaml': FLEET, 'overlays/web/etc/motd': 'a web server\n' };
