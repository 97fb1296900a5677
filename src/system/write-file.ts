import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setXattr } from './posix.ts';

interface WriteOptions {
  /** 644 when left out. */
  mode?: number;
  /** Numbers; the process's own when left out. */
  owner?: { uid: number; gid: number };
  /** Raw values by name, as readXattrs has them. */
  xattrs?: ReadonlyMap<string, Uint8Array>;
  /**
   * What the file is called until it is whole. Left out, it is a name that nobody else has; one that is said is the same at
   * the next try, which removes what was cut off.
   */
  aside?: string;
}

/**
 * Writes a file so that a power cut leaves either the old content or the new: aside, synced, renamed, and the
 * directory synced, so that the new name is on the disk when this returns. Its mode is 644 or what is said, whatever the
 * umask: a root that has dropped its rights must be able to read what an administrator of umask 077 publishes. Nobody else
 * can open it before it has its owner and mode.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array | AsyncIterable<Uint8Array>,
  { mode = 0o644, owner, xattrs = new Map(), aside = asideOf(path) }: WriteOptions = {},
): Promise<void> {
  await rm(aside, { force: true });
  try {
    const file = await open(aside, 'wx', 0o600);
    try {
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      // After the owner: giving a file away takes its set-uid bit (chown(2)).
      await file.chmod(mode);
      for (const [name, value] of xattrs) setXattr(Buffer.from(aside).toString('latin1'), name, value);
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

function asideOf(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`;
}

/** Makes a directory, and those above it, that everybody may read, whatever the umask; what is there stays as it is. */
export async function makeReadableDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = resolve(path); ; made = dirname(made)) {
    await chmod(made, 0o755);
    if (made === resolve(first)) return;
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
