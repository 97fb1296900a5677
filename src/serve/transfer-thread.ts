/** The thread that sends files by TFTP, as the main thread has it: who is to get what, until it has it. */
import { closeSync } from 'node:fs';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { BladerootError, describeError } from '../errors.ts';
import { workerFile } from '../system/workers.ts';
import { makeDoorbell, ring } from './poller.ts';
import type { TransferOptions } from './tftp-transfer.ts';
import type { Endpoint } from './udp.ts';

export interface SendOrder extends Omit<TransferOptions, 'post'> {
  /** This machine's, to send from. */
  address: string;
  client: Endpoint;
}

/** What the thread is told. */
export type Order =
  | ({ type: 'send'; id: number } & SendOrder)
  /** The client is told the reason. */
  | { type: 'end'; id: number; reason: string }
  | { type: 'stop' };

/** What the thread tells. */
export type Report =
  /** The client has answered for the first time: its address is no invention. */
  { type: 'heard'; id: number } | { type: 'ended'; id: number; error?: { code: string; message: string } };

export interface TransferThreadOptions {
  /** The thread has died. What it was sending has failed then; another one is started when there is more to send. */
  onError(error: unknown): void;
  /** The program of the thread. */
  program?: string | URL;
}

interface Waiting extends PromiseWithResolvers<void> {
  onHeard(): void;
}

/** It runs from when it is made, for all servers of a process; whoever has made it stops it after them. */
export class TransferThread {
  readonly #options: Required<TransferThreadOptions>;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #isStopped = false;
  #running: { worker: Worker; doorbell: number } | undefined;

  constructor(options: TransferThreadOptions) {
    this.#options = { program: workerFile('serve/transfer-worker'), ...options };
    this.#running = this.#start();
  }

  /**
   * Sends a file to its end; resolves when the client has it all. However it ends otherwise, the client has been told.
   * @throws BladerootError `TFTP_CANCELLED`, `TFTP_TIMEOUT`, as Transfer says; `TFTP_ABORTED` when the signal ends it;
   * `TFTP_THREAD`; `NO_ADDRESS`, `LISTEN_FAILED`; `FILE_CHANGED` and what else reading throws
   */
  async send(order: SendOrder, signal: AbortSignal, onHeard: () => void): Promise<void> {
    this.#running ??= this.#start();
    const id = this.#next++;
    const waiting = { ...Promise.withResolvers<void>(), onHeard };
    this.#waiting.set(id, waiting);
    this.#order({ type: 'send', id, ...order });
    const abort = (): void => this.#order({ type: 'end', id, reason: describeError(signal.reason) });
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      await waiting.promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Ends the thread, and with it what it is sending. */
  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const ended = once(this.#running.worker, 'exit');
    this.#order({ type: 'stop' });
    this.#isStopped = true;
    await ended;
  }

  #start(): { worker: Worker; doorbell: number } {
    const doorbell = makeDoorbell();
    const worker = new Worker(this.#options.program, { workerData: doorbell, ...LIMITS });
    let why: unknown;
    worker.on('message', (report: Report) => this.#take(report));
    worker.on('error', (error) => (why = error));
    worker.on('exit', (code) => {
      closeSync(doorbell);
      this.#running = undefined;
      this.#fail(why ?? new Error(`it ended with ${code}`));
    });
    return { worker, doorbell };
  }

  #order(order: Order): void {
    if (this.#running === undefined) return;
    this.#running.worker.postMessage(order, []);
    ring(this.#running.doorbell);
  }

  #take(report: Report): void {
    const waiting = this.#waiting.get(report.id);
    if (report.type === 'heard') {
      waiting?.onHeard();
      return;
    }
    this.#waiting.delete(report.id);
    if (report.error === undefined) waiting?.resolve();
    else waiting?.reject(new BladerootError(report.error.code, report.error.message));
  }

  /** The thread has ended, whether it was to or not. */
  #fail(cause: unknown): void {
    const message = `the thread that sends files by TFTP has ended: ${describeError(cause)}`;
    const error = new BladerootError('TFTP_THREAD', message, { cause });
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    if (!this.#isStopped) this.#options.onError(error);
  }
}

/** What the thread makes of each packet is small and gone at once; its sockets are none that Node has opened. */
const LIMITS = { resourceLimits: { maxYoungGenerationSizeMb: 2 }, trackUnmanagedFds: false };
