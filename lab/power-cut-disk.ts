/**
 * A disk that behaves as one does whose power is cut: nbdkit with its write-back cache in front of the file. What the guest
 * has flushed is in the file; what it has not is in the memory of this process alone, and goes with it, so that a sync
 * that is missing shows. It fails requests on demand, too (nbdkit-error-filter(1)).
 */
import { rm, writeFile } from 'node:fs/promises';
import { exists } from '../src/system/read-file.ts';
import { BladerootError } from '../src/errors.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastWords, readLog } from './console-log.ts';
import { startProcess, type OwnedProcess } from './process.ts';

/** Which requests of a disk fail, with EIO, while it is broken. */
export type DiskFault = 'read' | 'write';

/** Of so many, in percent: what was tried again often enough goes through, as on a disk that dies. */
const FAILING = 10;

export interface PowerCutDisk {
  /** What is on it once all is flushed. */
  file: string;
  socket: string;
  log: string;
  outlive: boolean;
}

/** @throws BladerootError `MACHINE_NOT_STARTED` when nbdkit does not come up */
export async function startPowerCutDisk({ file, socket, log, outlive }: PowerCutDisk): Promise<OwnedProcess> {
  await rm(socket, { force: true });
  for (const fault of ['read', 'write'] as const) await mendDisk(file, fault);
  const disk = await startProcess('nbdkit', nbdkitArguments(file, socket), {
    stdout: log,
    stderr: log,
    outlive,
  });
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
    if (await exists(socket)) return disk;
    if (!disk.running()) break;
  }
  disk.kill('SIGKILL');
  const said = lastWords(await readLog(log));
  throw new BladerootError('MACHINE_NOT_STARTED', `nbdkit did not come up for ${file}: ${said}`, {
    hint: 'apt-get install nbdkit',
  });
}

/** From now on a tenth of its requests of that kind fails. */
export async function breakDisk(file: string, fault: DiskFault): Promise<void> {
  await writeFile(faultFile(file, fault), '');
}

export async function mendDisk(file: string, fault: DiskFault): Promise<void> {
  await rm(faultFile(file, fault), { force: true });
}

function nbdkitArguments(file: string, socket: string): string[] {
  return [
    ['--foreground', '--unix', socket],
    ['--filter=error', '--filter=cache', 'file', file],
    // Smaller than a page of the guest's there are no requests but those of FAT.
    ['cache=writeback', 'cache-min-block-size=4096'],
    [`error-pread-rate=${FAILING}%`, `error-pread-file=${faultFile(file, 'read')}`],
    [`error-pwrite-rate=${FAILING}%`, `error-pwrite-file=${faultFile(file, 'write')}`],
  ].flat();
}

function faultFile(file: string, fault: DiskFault): string {
  return `${file}.${fault}-fails`;
}

const START_TIMEOUT_MS = 15_000;
