import type { WorkerPool } from '../system/workers.ts';
import type { UnpackResult, UnpackTask } from './unpack-task.ts';

/** Tasks that a thread has before it: enough that it never waits, few enough that memory stays bounded. */
const AHEAD = 3;

/** To make a file takes as long as to decompress and write as many bytes. */
const EFFORT_OF_A_FILE = 50_000;

/** Hands frames to threads, no faster than they are written. */
export class TaskQueue {
  readonly #pool: WorkerPool<UnpackTask, UnpackResult>;
  readonly #onWritten: (bytes: number) => void;
  readonly #running = new Set<Promise<void>>();
  #failure: { reason: unknown } | undefined;

  constructor(pool: WorkerPool<UnpackTask, UnpackResult>, onWritten: (bytes: number) => void) {
    this.#pool = pool;
    this.#onWritten = onWritten;
  }

  /** Returns as soon as there is room for another. @throws what a task before has thrown */
  async add(task: UnpackTask & { kind: 'frame' }): Promise<void> {
    const buffers = [task.bytes, task.bases].flatMap((bytes) =>
      bytes === undefined ? [] : [wholeBuffer(bytes)],
    );
    const done: Promise<void> = this.#pool
      .run(task, task.size + task.parts.length * EFFORT_OF_A_FILE, buffers)
      .then(
        (result) => this.#onWritten(result.kind === 'done' ? result.written : 0),
        (reason: unknown) => void (this.#failure ??= { reason }),
      )
      .finally(() => this.#running.delete(done));
    this.#running.add(done);
    while (this.#running.size >= AHEAD * this.#pool.size) await Promise.race(this.#running);
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  /** Waits for all. @throws what a task has thrown */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.reason;
  }
}

function wholeBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) return buffer;
  throw new Error('what is given away is a buffer of its own');
}
