import { WorkerPool } from '../system/workers.ts';
import type { BytePath } from './byte-path.ts';
import type { Looked } from './looked-around.ts';
import type {
  ComparedFile,
  CopiedFile,
  FileTarget,
  SmallThing,
  UnpackResult,
  UnpackTask,
} from './unpack-task.ts';

/** Small things are handed to a thread as many at a time. */
const THINGS_AT_ONCE = 256;

/** How many files are read by one task. */
const READ_AT_ONCE = 32;

/** The threads of unpacking, and what they do with many things at a time; their owner closes them. */
export class UnpackThreads {
  readonly pool = new WorkerPool<UnpackTask, UnpackResult>('image/unpack-worker');

  /** What is in a directory. */
  async look(directory: string, mounts: ReadonlySet<BytePath>): Promise<Looked> {
    const result = await this.pool.run({ kind: 'look', directory, mounts });
    if (result.kind !== 'looked') throw new Error(`a look ended as ${result.kind}`);
    // Where much was there, there may be little to write.
    if (result.looked.stats.length > 1) await this.pool.rest();
    return result.looked;
  }

  /** Whether each of files that are there has the data that it is to have. */
  async compare(files: readonly ComparedFile[]): Promise<boolean[]> {
    return await this.#each(files, READ_AT_ONCE, (some) => ({ kind: 'compare', files: some }));
  }

  /** Copies files from elsewhere. @returns of each whether what is there is what it is to be: others are not made */
  async copy(files: readonly CopiedFile[]): Promise<boolean[]> {
    return await this.#each(files, READ_AT_ONCE, (some) => ({ kind: 'copy', files: some }));
  }

  async make(things: readonly SmallThing[]): Promise<void> {
    await this.#each(things, THINGS_AT_ONCE, (some) => ({ kind: 'make', things: some }));
  }

  /** Files whose data is written get what else they have. */
  async finish(files: readonly FileTarget[]): Promise<void> {
    await this.#each(files, THINGS_AT_ONCE, (some) => ({ kind: 'finish', files: some }));
  }

  async close(): Promise<void> {
    await this.pool.close();
  }

  async #each<Thing>(
    things: readonly Thing[],
    atOnce: number,
    taskOf: (some: Thing[]) => UnpackTask,
  ): Promise<boolean[]> {
    const results: Promise<UnpackResult>[] = [];
    for (let i = 0; i < things.length; i += atOnce) {
      results.push(this.pool.run(taskOf(things.slice(i, i + atOnce))));
    }
    const done = await Promise.all(results);
    return done.flatMap((result) => (result.kind === 'compared' ? result.same : []));
  }
}
