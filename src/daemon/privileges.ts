/** From root to a user of its own: what the boot services may do once their ports are open. */
import { access, chown, constants } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';
import { giveUpNewPrivileges } from '../system/posix.ts';
import { ProgramFailed, run } from '../system/run.ts';

/** Who the boot services are, where nothing else is said. */
export const SERVE_USER = 'bladeroot';

export interface ServeUser {
  name: string;
  uid: number;
  gid: number;
}

/**
 * Whom to become; undefined where there is nothing to drop: this process is not root's, or is to stay root's.
 * @throws BladerootError `NO_USER`
 */
export async function userToBecome(name: string): Promise<ServeUser | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const entry = await passwdEntry(name);
  const [found, , uid = '', gid = ''] = entry.split(':');
  if (found === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) {
    throw new BladerootError('NO_USER', `there is no user ${name}, whom the boot services are to be`, {
      hint: `make it with \`useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${name}\`, or name another one with --user (\`--user root\` keeps all rights)`,
    });
  }
  return Number(uid) === 0 ? undefined : { name: found, uid: Number(uid), gid: Number(gid) };
}

async function passwdEntry(name: string): Promise<string> {
  try {
    return (await run('getent', ['passwd', '--', name])).stdout.trim();
  } catch (error) {
    // 2: no such key (getent(1)).
    if (error instanceof ProgramFailed && error.status === 2) return '';
    throw error;
  }
}

/** Gives an open database to the user: also the two files that SQLite keeps beside it while it is open. */
export async function giveDatabase(path: string, { uid, gid }: ServeUser): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      await chown(`${path}${suffix}`, uid, gid);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || suffix === '') throw error;
    }
  }
}

/**
 * Becomes that user for good, with all threads: no groups but its own, no capabilities, and none to be had from programs.
 * What the ports need must be open by now.
 */
export function becomeUser({ uid, gid }: ServeUser): void {
  giveUpNewPrivileges();
  process.setgroups?.([]);
  process.setgid?.(gid);
  // Last, since it takes the right to do the others; and all capabilities go with it (capabilities(7)).
  process.setuid?.(uid);
}

/** @throws BladerootError `NOT_READABLE` that names the first of these files that this process cannot read */
export async function checkReadable(paths: string[], user: string): Promise<void> {
  for (const path of paths) {
    try {
      await access(path, constants.R_OK);
    } catch (error) {
      if (errorCode(error) !== 'EACCES') throw error;
      throw new BladerootError('NOT_READABLE', `the user ${user} cannot read ${path}`, {
        hint: `let others enter the directories above it (\`namei -l ${path}\` shows them; \`chmod o+x\`), or name another user with --user`,
        cause: error,
      });
    }
  }
}
