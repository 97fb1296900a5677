/**
 * The thread that sends files by TFTP. It has no event loop but its own: each packet costs it two or three calls of the
 * kernel. What the main thread wants of it comes as orders; what becomes of them it reports.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BladerootError, describeError, errorCode } from '../errors.ts';
import { decodeTftp, encodeTftp, TFTP_ERROR, type TftpPacket } from '../net/tftp.ts';
import { Linger } from './linger.ts';
import { answerDoorbell, Poller } from './poller.ts';
import { Transfer } from './tftp-transfer.ts';
import type { Order, Report } from './transfer-thread.ts';
import { TransferSocket } from './transfer-socket.ts';

interface Serving {
  id: number;
  socket: TransferSocket;
  transfer: Transfer;
}

/** More clients than this keep the thread busy, or are too many to wait for one of them awake. */
const FEW = 2;
/** Now and then the thread looks whether the process is to end, in milliseconds. */
const LONGEST_SLEEP_MS = 1000;

class TransferLoop {
  readonly #report: (report: Report) => void;
  readonly #nextOrder: () => Order | undefined;
  readonly #doorbell: number;
  readonly #poller = new Poller();
  readonly #linger = new Linger();
  readonly #byId = new Map<number, Serving>();
  readonly #byFd = new Map<number, Serving>();
  /** No transfer's deadline is earlier than this. */
  #nextDeadline = Infinity;
  #heardAt = 0;
  #isStopped = false;

  /** `doorbell` is rung when there is an order. */
  constructor(doorbell: number, nextOrder: () => Order | undefined, report: (report: Report) => void) {
    this.#doorbell = doorbell;
    this.#nextOrder = nextOrder;
    this.#report = report;
    this.#poller.add(doorbell);
  }

  /** Returns once it was ordered to stop; nothing is left open. */
  run(): void {
    try {
      while (!this.#isStopped) {
        const ready = this.#wait();
        for (let index = 0; index < ready; index++) {
          const fd = this.#poller.ready(index);
          if (fd === this.#doorbell) this.#takeOrders();
          else this.#hear(fd);
        }
        this.#expire();
      }
    } finally {
      for (const { socket } of this.#byId.values()) socket.close();
      this.#poller.close();
    }
  }

  #wait(): number {
    const linger = this.#byId.size <= FEW ? this.#linger.milliseconds : 0;
    for (const until = this.#heardAt + linger; performance.now() < until;) {
      const ready = this.#poller.wait(0);
      if (ready > 0) return ready;
    }
    const left = Math.ceil(this.#nextDeadline - performance.now());
    return this.#poller.wait(Math.max(0, Math.min(left, LONGEST_SLEEP_MS)));
  }

  #takeOrders(): void {
    answerDoorbell(this.#doorbell);
    for (let order = this.#nextOrder(); order !== undefined; order = this.#nextOrder()) {
      if (order.type === 'stop') this.#isStopped = true;
      else if (order.type === 'send') this.#begin(order);
      else {
        const serving = this.#byId.get(order.id);
        if (serving !== undefined) this.#end(serving, new BladerootError('TFTP_ABORTED', order.reason));
      }
    }
  }

  #begin({ id, address, client, ...order }: Extract<Order, { type: 'send' }>): void {
    let socket: TransferSocket;
    try {
      socket = TransferSocket.open(address, client);
    } catch (error) {
      this.#report({ type: 'ended', id, error: toReport(error) });
      return;
    }
    const transfer = new Transfer({ ...order, post: (packets, size) => socket.post(packets, size) });
    const serving = { id, socket, transfer };
    this.#byId.set(id, serving);
    this.#byFd.set(socket.fd, serving);
    this.#goOn(serving, (now) => {
      this.#poller.add(socket.fd);
      transfer.start(now);
      return false;
    });
  }

  #hear(fd: number): void {
    const serving = this.#byFd.get(fd);
    const packet = packetIn(serving?.socket.receive());
    // Not TFTP, so neither an ACK nor an error: as good as lost.
    if (serving === undefined || packet === undefined) return;
    const { id, transfer } = serving;
    if (!transfer.heard) this.#report({ type: 'heard', id });
    this.#goOn(serving, (now) => {
      this.#heardAt = now;
      this.#linger.answered(now - transfer.sentAt);
      return transfer.take(packet, now);
    });
  }

  #expire(): void {
    if (performance.now() < this.#nextDeadline) return;
    this.#nextDeadline = Infinity;
    for (const serving of this.#byId.values()) {
      this.#goOn(serving, (now) => now >= serving.transfer.deadline && serving.transfer.expire(now));
    }
  }

  /** Does one step of a transfer, which returns whether it was the last. What it throws ends this one, and no other. */
  #goOn(serving: Serving, step: (now: number) => boolean): void {
    try {
      if (step(performance.now())) this.#end(serving);
      else this.#nextDeadline = Math.min(this.#nextDeadline, serving.transfer.deadline);
    } catch (error) {
      this.#end(serving, error);
    }
  }

  /** A client that has ended it itself need not be told. */
  #end({ id, socket }: Serving, error?: unknown): void {
    if (error !== undefined && errorCode(error) !== 'TFTP_CANCELLED') {
      const message = describeError(error);
      socket.post(encodeTftp({ type: 'error', code: TFTP_ERROR.undefined, message }));
    }
    this.#byId.delete(id);
    this.#byFd.delete(socket.fd);
    socket.close();
    this.#report({ type: 'ended', id, ...(error === undefined ? {} : { error: toReport(error) }) });
  }
}

function packetIn(bytes: Buffer | undefined): TftpPacket | undefined {
  if (bytes === undefined) return undefined;
  try {
    return decodeTftp(bytes);
  } catch {
    return undefined;
  }
}

function toReport(error: unknown): { code: string; message: string } {
  return { code: errorCode(error) ?? 'TFTP_FAILED', message: describeError(error) };
}

const port = parentPort;
if (port === null || typeof workerData !== 'number') throw new Error('this module is for a worker thread');
const nextOrder = (): Order | undefined => receiveMessageOnPort(port)?.message;
new TransferLoop(workerData, nextOrder, (report) => port.postMessage(report, [])).run();
