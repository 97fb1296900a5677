/** How many bytes a machine that has one tree fetches to have the next: with bladeroot, casync and zchunk. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/system/run.ts';
import { perform } from './command.ts';
import { copyTo, empty } from '../folder.ts';
import { ours, packTree } from './ours.ts';
import { casync } from './peers.ts';
import { bytesToFetch, chunksOf } from './zchunk.ts';

/** What comes after one tree. */
export interface Successors {
  /** Bytes of the tree itself, for a machine that has nothing. */
  wholeBytes: number;
  /** Bytes for this tree, for a machine that has the first. */
  bytesFor(next: string): Promise<number>;
}

export interface Transport {
  name: string;
  /** @param base the tree that is there. @param home a folder of its own, which is not there yet */
  from(base: string, home: string, signal: AbortSignal): Promise<Successors>;
}

/** New objects or patches, and the manifest that names all of them. */
export const bladerootTransport: Transport = {
  name: ours.name,
  async from(base, home, signal) {
    const state = join(home, 'state');
    const nextState = join(home, 'next');
    await empty(home);
    await ours.prepare?.(state);
    const { id, storedBytes } = await packTree(base, state, { signal });
    return {
      wholeBytes: storedBytes,
      async bytesFor(next) {
        await copyTo(state, nextState, signal);
        return (await packTree(next, nextState, { base: id, signal })).newBytes;
      },
    };
  },
};

/** New chunks, and the index that names all of them. */
export const casyncTransport: Transport = {
  name: casync.name,
  async from(base, home, signal) {
    const store = join(home, 'store');
    const nextStore = join(home, 'next');
    await empty(store);
    await perform(casync.pack(base, store), { signal });
    const chunks = await chunkBytes(store, signal);
    return {
      wholeBytes: chunks + (await indexBytes(store)),
      async bytesFor(next) {
        await empty(nextStore);
        // Links suffice: a chunk that is there is not written again.
        await run('cp', ['--archive', '--link', join(store, 'store.castr'), nextStore], { signal });
        await perform(casync.pack(next, nextStore), { signal });
        return (await chunkBytes(nextStore, signal)) - chunks + (await indexBytes(nextStore));
      },
    };
  },
};

async function chunkBytes(store: string, signal: AbortSignal): Promise<number> {
  const { stdout } = await run('find', [store, '-name', '*.cacnk', '-printf', '%s\n'], { signal });
  return stdout.split('\n').reduce((sum, size) => sum + Number(size), 0);
}

async function indexBytes(store: string): Promise<number> {
  return (await stat(join(store, 'tree.caidx'))).size;
}

/** New chunks of the tree's tar archive, and the header that names all of them. */
export const zchunkTransport: Transport = {
  name: 'zchunk',
  async from(base, home, signal) {
    const there = await chunksOf(base, join(home, 'base'), signal);
    return {
      wholeBytes: await bytesToFetch(undefined, there, signal),
      async bytesFor(next) {
        return await bytesToFetch(there, await chunksOf(next, join(home, 'next'), signal), signal);
      },
    };
  },
};
