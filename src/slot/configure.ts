/** Makes of the unpacked image this blade: its overlay, its fstab, and what it is known by. */
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FstabLine } from '../disks/fstab.ts';
import { applyOverlay } from '../overlay/apply.ts';
import { nameBootCard } from '../overlay/network.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { run } from '../system/run.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { laySecrets } from './lay-secrets.ts';
import { exists } from '../system/read-file.ts';

export interface ConfigureRequest {
  /** The mounted slot, or what is in memory instead. */
  directory: string;
  /** What the blade mounts by itself (disks/fstab.ts). */
  mounts: readonly FstabLine[];
  /** The blade's overlay archive. */
  overlay: Uint8Array;
  /** The archive of its secrets, where there are any for it. */
  secrets: Uint8Array | undefined;
  identity: Pick<Identity, 'secret'>;
  /** Of the card that it booted from. */
  mac: string;
  /** On the persistent partition, where there is one: what the blade is known by, over all deployments. */
  identityDirectory: string;
}

export async function configure(request: ConfigureRequest): Promise<void> {
  await applyOverlay(request.overlay, request.directory);
  if (request.secrets !== undefined)
    await laySecrets(request.secrets, request.directory, request.identity.secret);
  await nameBootCard(request.directory, request.mac);
  await writeFstab(request.directory, request.mounts);
  await giveIdentity(request.directory, request.identityDirectory);
}

/** bladeroot's own mounts come first; what the tree or an overlay mounts beside them stays. */
async function writeFstab(directory: string, mounts: readonly FstabLine[]): Promise<void> {
  const points = mounts.map(([, where]) => where).filter((where) => where.startsWith('/'));
  for (const point of points) await mkdir(join(directory, point), { recursive: true });
  const path = join(directory, 'etc/fstab');
  const own = new Set<string | undefined>(points);
  const there = (await exists(path)) ? await readFile(path, 'utf8') : '';
  const isOwn = (line: string): boolean => !line.startsWith('#') && own.has(line.trim().split(/\s+/)[1]);
  const kept = there.split('\n').filter((line) => !isOwn(line));
  await writeFile(
    path,
    [...mounts.map((fields) => fields.join(' ')), ...kept, ''].join('\n').replace(/\n+$/, '\n'),
  );
}

/** Host keys and machine-id are made on the blade, at its first deployment, and are the same at every later one. */
async function giveIdentity(directory: string, identityDirectory: string): Promise<void> {
  await mkdir(identityDirectory, { recursive: true, mode: 0o700 });
  const machineId = join(identityDirectory, 'machine-id');
  if (!(await exists(machineId)))
    await writeFileAtomic(machineId, `${randomBytes(16).toString('hex')}\n`, { mode: 0o444 });
  await copyFile(machineId, join(directory, 'etc/machine-id'));

  if (!(await exists(join(directory, 'usr/bin/ssh-keygen')))) return;
  const keys = join(identityDirectory, 'ssh');
  if (!(await exists(keys))) {
    // Made aside: keys that are there are whole.
    const aside = `${keys}.new`;
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside, { mode: 0o700 });
    await run('mount', ['--bind', '/dev', join(directory, 'dev')]);
    try {
      await run('chroot', [directory, 'ssh-keygen', '-A']);
    } finally {
      await run('umount', [join(directory, 'dev')]);
    }
    await copyHostKeys(join(directory, 'etc/ssh'), aside);
    await run('sync', []);
    await run('mv', [aside, keys]);
  }
  await copyHostKeys(keys, join(directory, 'etc/ssh'));
}

async function copyHostKeys(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (!/^ssh_host_\w+_key(\.pub)?$/.test(name)) continue;
    await copyFile(join(from, name), join(to, name));
    await chmod(join(to, name), name.endsWith('.pub') ? 0o644 : 0o600);
  }
}
