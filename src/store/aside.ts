/**
 * Files are written aside, in the store's `tmp` folder, and renamed into place once they are whole and on the disk.
 * An aside file's name says which process writes it, so that what a crashed one left can be told from work in progress.
 */
import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../errors.ts';
import { syncDirectory } from '../system/write-file.ts';

export class AsideFile {
  readonly path: string;
  readonly file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.file = file;
  }

  static async create(folder: string): Promise<AsideFile> {
    const path = join(folder, await asideName());
    const file = await open(path, 'wx+', 0o644);
    // Whatever the umask: a root that has dropped its rights serves it.
    await file.chmod(0o644);
    return new AsideFile(path, file);
  }

  /** Gives the file its name, durably, or until whoever makes many of them syncs the directory. */
  async commit(path: string, { syncName = true } = {}): Promise<void> {
    await this.file.sync();
    await this.file.close();
    await rename(this.path, path);
    if (syncName) await syncDirectory(dirname(path));
  }

  async discard(): Promise<void> {
    await this.file.close();
    await rm(this.path, { force: true });
  }
}

/** A new name that says that it is this process's. */
export async function asideName(): Promise<string> {
  ownStart ??= startTime(process.pid);
  return `${process.pid}.${(await ownStart) ?? '0'}.${randomBytes(6).toString('hex')}`;
}

/** Of this process; it is asked for with every file. */
let ownStart: Promise<string | undefined> | undefined;

/** Writes a whole file aside and gives it its name. */
export async function writeAside(
  folder: string,
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const aside = await AsideFile.create(folder);
  try {
    for await (const chunk of chunks) await aside.file.appendFile(chunk);
    await aside.commit(path);
  } catch (error) {
    await aside.discard();
    throw error;
  }
}

/** Writes all of `bytes` at a position of a file. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Removes the aside files and folders of processes that are gone. */
export async function sweepAside(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [pid = '', started] = name.split('.');
    if ((await startTime(Number(pid))) !== started)
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * When a process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)). With the pid alone
 * a crashed agent in an initrd, where pids repeat at each boot, would keep its leftovers for ever.
 */
async function startTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}
