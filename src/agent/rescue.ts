/**
 * The rescue system: SSH into the initrd for the keys that may log in on the blade, as its signed release says, with the
 * host keys that the blade always has. Nothing is written to its disks.
 */
import type { KeyObject } from 'node:crypto';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { BladerootError, errorCode } from '../errors.ts';
import { identityOf, type Machine } from '../fleet/machine.ts';
import { decodeTar } from '../image/tar-decoder.ts';
import { mountOnce } from '../slot/mounts.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import { fetchBlob } from '../store/fetch.ts';
import { HttpSource } from '../store/http-source.ts';
import { exists, namesIn } from '../system/read-file.ts';
import { run } from '../system/run.ts';
import { attempt } from './attempt.ts';
import { inspectDisks } from '../storage/inspect.ts';
import { findRelease } from './find-release.ts';
import type { Reporter } from './reporter.ts';

const AUTHORIZED_KEYS = 'root/.ssh/authorized_keys';
const SERVER = '/usr/sbin/sshd';
const PERSIST_MOUNT = '/run/bladeroot/persist';

/** sshd_config(5): keys, and nothing else. */
const CONFIG = `HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
HostKey /etc/ssh/ssh_host_rsa_key
AuthorizedKeysFile /${AUTHORIZED_KEYS}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
Subsystem sftp internal-sftp
`;

/** Where the server's own user is confined: Debian's place, and upstream's. */
const EMPTY_DIRECTORIES = ['/run/sshd', '/var/empty'];

export interface RescueRequest {
  roots: string[];
  publicKey: KeyObject;
  machine: Machine;
  reporter: Reporter;
}

/** @throws BladerootError `NO_ROOT`, `NO_SSH_SERVER`, `NO_SSH_KEYS`, `NOT_A_BLADE`, ...: the console has its shell all the same */
export async function startRescue({ roots, publicKey, machine, reporter }: RescueRequest): Promise<void> {
  if (!(await exists(SERVER))) {
    throw new BladerootError('NO_SSH_SERVER', 'the image has no SSH server, so the rescue system has none', {
      hint: 'install openssh-server (net-misc/openssh) in the tree, pack and publish; the console has a shell',
    });
  }
  const { root, release, blade } = await attempt('release', reporter, () =>
    findRelease(roots, publicKey, identityOf(machine)),
  );
  if (blade === undefined) {
    throw new BladerootError('NOT_A_BLADE', `release ${release.statement.sequence} has no such machine`, {
      hint: 'the console has a shell',
    });
  }
  reporter.setTarget({ root, blade: blade.name });
  const source = new HttpSource(`${root}/store`);
  const keys = await attempt('release', reporter, async () =>
    authorizedKeysIn(await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes)),
  );
  if (keys === undefined) {
    throw new BladerootError(
      'NO_SSH_KEYS',
      `release ${release.statement.sequence} lets nobody log in as root`,
      {
        hint: 'write `ssh: { authorizedKeys: [...] }` in fleet.yaml and publish; the console has a shell',
      },
    );
  }
  await prepareServer('/', keys);
  const isKnown = await attempt('disk', reporter, takeHostKeys);
  await run(SERVER, ['-f', '/etc/ssh/sshd_rescue']);
  const { stdout } = await run('ssh-keygen', ['-l', '-f', '/etc/ssh/ssh_host_ed25519_key.pub']);
  const whose = isKnown ? "the blade's own host key" : 'a host key that was just made';
  const where = addresses().map((address) => `ssh root@${address}`);
  reporter.done('rescue', `rescue system: ${where.join(' or ')}; ${whose}: ${stdout.trim()}`);
}

/** The keys that an overlay lets in as root; undefined where it names none. */
export async function authorizedKeysIn(overlay: Buffer): Promise<string | undefined> {
  const chunks = async function* (): AsyncGenerator<Buffer> {
    yield overlay;
  };
  for await (const { header, content } of decodeTar(chunks())) {
    if (header.type !== 'file' || header.path.toString() !== AUTHORIZED_KEYS) continue;
    return (await buffer(content)).toString();
  }
  return undefined;
}

/** @param root of the system that the server is to run in */
async function prepareServer(root: string, keys: string): Promise<void> {
  await mkdir(join(root, 'root/.ssh'), { recursive: true });
  for (const folder of ['root', 'root/.ssh']) await chmod(join(root, folder), 0o700);
  await writeFile(join(root, AUTHORIZED_KEYS), keys, { mode: 0o600 });
  await mkdir(join(root, 'etc/ssh'), { recursive: true });
  await writeFile(join(root, 'etc/ssh/sshd_rescue'), CONFIG);
  await writeFile(join(root, 'etc/passwd'), PASSWD);
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nsshd:x:74:\n');
  for (const path of EMPTY_DIRECTORIES) await mkdir(join(root, path), { recursive: true, mode: 0o755 });
}

/** Nobody has a password. */
const PASSWD = 'root:*:0:0:root:/root:/bin/sh\nsshd:*:74:74:sshd:/var/empty:/bin/false\n';

/** @returns whether the blade's own were on its disk; else there is a new one */
async function takeHostKeys(): Promise<boolean> {
  const parts = (await inspectDisks()).flatMap(({ contents }) => contents.partitions);
  const persist = parts.find(({ name }) => name === PARTITIONS.persist);
  if (persist !== undefined && (await copyHostKeys(persist.path))) return true;
  const path = '/etc/ssh/ssh_host_ed25519_key';
  if (!(await exists(path))) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  return false;
}

/** Read as it is on the disk: not even a journal is written. @returns whether there were any */
async function copyHostKeys(device: string): Promise<boolean> {
  try {
    await mountOnce(device, PERSIST_MOUNT, { options: 'ro,noload' });
  } catch (error) {
    // A disk that is why somebody wants a rescue system.
    if (errorCode(error) !== 'PROGRAM_FAILED') throw error;
    return false;
  }
  try {
    const from = join(PERSIST_MOUNT, 'bladeroot/identity/ssh');
    const names = await namesIn(from);
    for (const name of names) {
      await copyFile(join(from, name), join('/etc/ssh', name));
      await chmod(join('/etc/ssh', name), name.endsWith('.pub') ? 0o644 : 0o600);
    }
    return names.includes('ssh_host_ed25519_key');
  } finally {
    await run('umount', [PERSIST_MOUNT]);
  }
}

function addresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address);
}
