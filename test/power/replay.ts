/**
 * Every moment of a work that was recorded once: the disk as it would be, had the power failed there. What was flushed by
 * then is on it; of what was not, any part, as a disk may write what is in its cache in any order.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { run } from '../../src/system/run.ts';
import { readWriteLog, type LoggedWrite } from './write-log.ts';

/** What of the requests that were not flushed has come to the disk. */
const FATES = ['none', 'all', 'some requests', 'some sectors'] as const;
type Fate = (typeof FATES)[number];

export interface Moment {
  /** So many requests had been made. */
  requests: number;
  fate: Fate;
}

const SECTOR = 512;

export class Replay {
  /** All that was recorded; the flushes are among them. */
  readonly requests: readonly LoggedWrite[];
  readonly #log: FileHandle;
  /** The disk with all that was flushed before `#done` requests. */
  readonly #image: string;
  #done = 0;
  /** Of the requests that `#image` has, the last flush. */
  #flushed = 0;

  private constructor(log: FileHandle, requests: LoggedWrite[], image: string) {
    this.#log = log;
    this.requests = requests;
    this.#image = image;
  }

  /** @param begin the disk before the first request  @param image a path, for a disk that this makes */
  static async open(logFile: string, begin: string, image: string): Promise<Replay> {
    const log = await open(logFile);
    const requests = await readWriteLog(log);
    await run('cp', ['--sparse=always', begin, image]);
    return new Replay(log, requests, image);
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /** In the order in which they come; every fate of what was not flushed is as likely. */
  moments(count: number, random: () => number): Moment[] {
    const all = Array.from({ length: count }, () => ({
      requests: 1 + Math.floor(random() * this.requests.length),
      fate: FATES[Math.floor(random() * FATES.length)] ?? 'none',
    }));
    return all.sort((a, b) => a.requests - b.requests);
  }

  /** Makes the disk of a moment, which must not come before that of an earlier call. */
  async disk({ requests, fate }: Moment, random: () => number, path: string): Promise<void> {
    await this.#advance(requests);
    await run('cp', ['--sparse=always', this.#image, path]);
    const disk = await open(path, constants.O_RDWR);
    try {
      for (const write of this.requests.slice(this.#flushed, requests)) {
        if (fate === 'all' || (fate === 'some requests' && random() < 0.5)) await this.#apply(disk, write);
        if (fate === 'some sectors') await this.#applySome(disk, write, random);
      }
    } finally {
      await disk.close();
    }
  }

  async #advance(requests: number): Promise<void> {
    const image = await open(this.#image, constants.O_RDWR);
    try {
      for (; this.#done < requests; this.#done++) {
        const request = this.requests[this.#done];
        if (request?.flush !== true && request?.fua !== true) continue;
        for (const write of this.requests.slice(this.#flushed, this.#done + 1))
          await this.#apply(image, write);
        this.#flushed = this.#done + 1;
      }
    } finally {
      await image.close();
    }
  }

  async #apply(disk: FileHandle, write: LoggedWrite): Promise<void> {
    if (write.dataAt === undefined) return;
    await disk.write(await this.#read(write), 0, write.bytes, write.offset);
  }

  async #applySome(disk: FileHandle, write: LoggedWrite, random: () => number): Promise<void> {
    if (write.dataAt === undefined) return;
    const data = await this.#read(write);
    for (let at = 0; at < data.length; at += SECTOR) {
      if (random() < 0.5) await disk.write(data, at, SECTOR, write.offset + at);
    }
  }

  async #read({ dataAt, bytes }: LoggedWrite): Promise<Buffer> {
    const data = Buffer.alloc(bytes);
    await this.#log.read(data, 0, bytes, dataAt);
    return data;
  }
}
