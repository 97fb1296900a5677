/**
 * The disk of one machine: a sparse file, which QEMU has itself or, where its cache is volatile, by way of nbdkit. A second
 * one, where it has two, is always QEMU's own.
 */
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { startPowerCutDisk } from './power-cut-disk.ts';
import { attachProcess } from './process.ts';
import type { MachineFiles } from './qemu-arguments.ts';
import type { MachineState } from './state.ts';

export class MachineDisk {
  /** An empty file that gets all that is done to a volatile disk, as dm-log-writes has it; from the next start on. */
  recordTo: string | undefined;
  readonly #state: MachineState;
  readonly #files: MachineFiles;

  constructor(state: MachineState, files: MachineFiles) {
    this.#state = state;
    this.#files = files;
  }

  /** Makes the folder and a blank disk, where there are none yet. */
  async prepare(): Promise<void> {
    const { diskBytes, secondDiskBytes } = this.#state.request;
    await mkdir(dirname(this.#files.disk), { recursive: true });
    if (diskBytes > 0) await makeSparse(this.#files.disk, diskBytes);
    if (secondDiskBytes > 0) await makeSparse(this.#files.secondDisk, secondDiskBytes);
  }

  /** What a volatile disk needs to run: a program for each time that the machine is on. */
  async start(outlive: boolean): Promise<void> {
    await this.end();
    if (this.recordTo !== undefined) await writeFile(this.recordTo, '');
    if (this.#state.request.diskCache !== 'volatile') return;
    const { disk: file, diskSocket: socket, log } = this.#files;
    this.#state.disk = (await startPowerCutDisk({ file, socket, log, outlive })).id;
  }

  /** What it has not written to the file is lost. */
  async end(): Promise<void> {
    const disk = this.#state.disk && attachProcess(this.#state.disk);
    disk?.kill('SIGKILL');
    await disk?.ended();
    this.#state.disk = undefined;
  }

  async destroy(): Promise<void> {
    await rm(this.#files.disk, { force: true });
    await rm(this.#files.secondDisk, { force: true });
  }
}

async function makeSparse(path: string, bytes: number): Promise<void> {
  const disk = await open(path, 'a');
  try {
    if ((await disk.stat()).size < bytes) await disk.truncate(bytes);
  } finally {
    await disk.close();
  }
}
