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

export interface MadeDisk {
  /** The same text for two disks of a replay that are alike in these bytes; others have another one, where they differ. */
  alike(offset: number, bytes: number): string;
}

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
    await run('cp', [begin, image]);
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
  async disk({ requests, fate }: Moment, random: () => number, path: string): Promise<MadeDisk> {
    await this.#advance(requests);
    await run('cp', [this.#image, path]);
    const disk = await open(path, constants.O_RDWR);
    const applied: [LoggedWrite, string][] = [];
    try {
      for (const [number, write] of this.requests.slice(this.#flushed, requests).entries()) {
        if (fate === 'none' || (fate === 'some requests' && random() < 0.5)) continue;
        const sectors = fate === 'some sectors' ? await this.#applySome(disk, write, random) : 'all';
        if (sectors === 'all') await this.#apply(disk, write);
        applied.push([write, `${this.#flushed + number}:${sectors}`]);
      }
    } finally {
      await disk.close();
    }
    const flushed = this.requests.slice(0, this.#flushed);
    return {
      alike: (offset, bytes) => {
        const isIn = (write: LoggedWrite): boolean =>
          write.dataAt !== undefined && write.offset < offset + bytes && write.offset + write.bytes > offset;
        const own = applied.flatMap(([write, how]) => (isIn(write) ? [how] : []));
        return [flushed.findLastIndex(isIn), ...own].join(' ');
      },
    };
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

  /** @returns which of its sectors, in words */
  async #applySome(disk: FileHandle, write: LoggedWrite, random: () => number): Promise<string> {
    if (write.dataAt === undefined) return '';
    const data = await this.#read(write);
    const chosen: number[] = [];
    for (let at = 0; at < data.length; at += SECTOR) {
      if (random() < 0.5) continue;
      await disk.write(data, at, SECTOR, write.offset + at);
      chosen.push(at / SECTOR);
    }
    return chosen.join(',');
  }

  async #read({ dataAt, bytes }: LoggedWrite): Promise<Buffer> {
    const data = Buffer.alloc(bytes);
    await this.#log.read(data, 0, bytes, dataAt);
    return data;
  }
}
