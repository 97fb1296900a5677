/**
 * Threads for work that keeps a core busy: hashing, compressing, writing many files. A worker takes its tasks one after
 * the other, with blocking calls, which are several times cheaper than asynchronous ones; the main thread stays free.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { BladerootError, describeError, errorCode } from '../errors.ts';
import { isBundled, programDirectory } from './asset.ts';

/** Modules that are the beginning of a thread; the bundle makes a file of each. */
export const WORKERS = ['image/pack-worker', 'image/unpack-worker', 'serve/transfer-worker'] as const;
export type WorkerModule = (typeof WORKERS)[number];

/** The path of such a module. */
export function workerFile(module: WorkerModule): string {
  return join(programDirectory, `${module}.${isBundled ? 'mjs' : 'ts'}`);
}

interface Request<Task> {
  number: number;
  task: Task;
}

type Reply<Result> =
  | { number: number; result: Result }
  | { number: number; error: { code: string; message: string; hint: string | undefined } };

/** What a thread makes is short-lived and small, but for buffers, which are not counted here. */
const YOUNG = { maxYoungGenerationSizeMb: 2 };

interface Waiting<Result> {
  effort: number;
  resolve(result: Result): void;
  reject(reason: unknown): void;
}

/** More threads than this do not make anything faster: the main thread has to keep them fed. */
const MAX_WORKERS = 8;

export function workerCount(): number {
  return Math.max(1, Math.min(MAX_WORKERS, availableParallelism()));
}

/** One thread; its owner closes it. */
export class TaskWorker<Task, Result> {
  readonly #worker: Worker;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #waiting = new Map<number, Waiting<Result>>();
  #next = 0;
  #load = 0;
  #failure: { reason: unknown } | undefined;
  #hasEnded = false;

  constructor(module: WorkerModule) {
    this.#worker = new Worker(workerFile(module), { workerData: this.#stop, resourceLimits: YOUNG });
    this.#worker.on('message', (reply: Reply<Result>) => this.#take(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => {
      this.#hasEnded = true;
      this.#fail(new Error(`a worker thread ended with ${code}`));
    });
  }

  /** The effort of the tasks that it has not done yet. */
  get load(): number {
    return this.#load;
  }

  /**
   * Has a task done, after those that were given before.
   * @param effort how long it takes, in any unit that is the same for all tasks of a pool
   * @param transfer buffers in it that are given away
   * @throws BladerootError what the task threw
   */
  async run(task: Task, effort = 1, transfer: ArrayBuffer[] = []): Promise<Result> {
    if (this.#failure !== undefined) throw this.#failure.reason;
    const number = this.#next++;
    const done = new Promise<Result>((resolve, reject) =>
      this.#waiting.set(number, { effort, resolve, reject }),
    );
    this.#load += effort;
    const request: Request<Task> = { number, task };
    this.#worker.postMessage(request, transfer);
    return await done;
  }

  /**
   * Ends the thread after the task that it is at; those behind it fail. It is not terminated: a thread that is in the
   * middle of a native call would take the whole process with it.
   */
  async close(): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    if (this.#hasEnded) return;
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage(CLOSE, []);
    await ended;
  }

  #take(reply: Reply<Result>): void {
    const waiting = this.#waiting.get(reply.number);
    this.#waiting.delete(reply.number);
    this.#load -= waiting?.effort ?? 0;
    if ('result' in reply) {
      waiting?.resolve(reply.result);
    } else {
      const { code, message, hint } = reply.error;
      waiting?.reject(new BladerootError(code, message, hint === undefined ? {} : { hint }));
    }
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** Threads of one module, started as there is work for them; each task goes to the one that has the least to do. */
export class WorkerPool<Task, Result> {
  /** How many threads there are at most. */
  readonly size: number;
  readonly #module: WorkerModule;
  readonly #workers: TaskWorker<Task, Result>[] = [];
  #isClosed = false;

  constructor(module: WorkerModule, size = workerCount()) {
    this.size = size;
    this.#module = module;
  }

  /** Starts all threads, where there is something else to do in the third of a second until they can work. */
  start(): void {
    while (this.#workers.length < this.size) this.#workers.push(new TaskWorker(this.#module));
  }

  /** The thread that has the least to do. */
  idlest(): TaskWorker<Task, Result> {
    let idlest = this.#workers[0];
    for (const worker of this.#workers) if (worker.load < (idlest?.load ?? 0)) idlest = worker;
    if (idlest !== undefined && (idlest.load === 0 || this.#workers.length === this.size)) return idlest;
    if (this.#isClosed) throw new Error('no thread is started any more');
    const started = new TaskWorker<Task, Result>(this.#module);
    this.#workers.push(started);
    return started;
  }

  /** As TaskWorker's. */
  async run(task: Task, effort?: number, transfer?: ArrayBuffer[]): Promise<Result> {
    return await this.idlest().run(task, effort, transfer);
  }

  /** Ends the threads, as each takes some 20 MB; those that there is work for later are started then. */
  async rest(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map(async (worker) => await worker.close()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.rest();
  }
}

/** What ends a thread. */
const CLOSE = 'close';

/** The worker's side: whether it is to end; a task that takes seconds looks now and then. */
export function isStopping(): boolean {
  return workerData instanceof Int32Array && Atomics.load(workerData, 0) !== 0;
}

/**
 * The worker's side: does each task that comes, in order.
 * @param work may throw BladerootErrors; returns the result and the buffers in it that are given away
 */
export function serveTasks<Task, Result>(
  work: (task: Task) => { result: Result; transfer?: ArrayBuffer[] },
): void {
  const port = parentPort;
  if (port === null) throw new Error('this module is for a worker thread');
  const reply = (message: Reply<Result>, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer);
  port.on('message', (message: Request<Task> | typeof CLOSE) => {
    if (message === CLOSE || isStopping()) {
      port.close();
      return;
    }
    const { number, task } = message;
    try {
      const { result, transfer } = work(task);
      reply({ number, result }, transfer);
    } catch (error) {
      const code = error instanceof BladerootError ? error.code : (errorCode(error) ?? 'WORKER_FAILED');
      const own = error instanceof BladerootError;
      const [message, hint] = own ? [error.message, error.hint] : [describeError(error), undefined];
      reply({ number, error: { code, message, hint } });
    }
  });
}
