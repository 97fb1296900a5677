/** For a thread without an event loop: waiting for many descriptors at once (epoll(7)), and being woken by another thread. */
import { closeSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load(null);
const epollCreate = libc.func('int epoll_create1(int flags)');
const epollControl = libc.func('int epoll_ctl(int epoll, int operation, int fd, const void *event)');
const epollWait = libc.func('int epoll_wait(int epoll, void *events, int count, int milliseconds)');
const eventFd = libc.func('int eventfd(unsigned int count, int flags)');

// From Linux's <sys/epoll.h> and <sys/eventfd.h>; the same on x86-64 and ARM64.
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** `struct epoll_event`: what happened, and 64 bits of the caller's. It is packed on x86-64, and only there. */
const EVENT = process.arch === 'x64' ? { bytes: 12, data: 4 } : { bytes: 16, data: 8 };
/** How many descriptors one wait tells of; the others are told of by the next one. */
const AT_ONCE = 64;

/** To be closed by who has made it. */
export class Poller {
  readonly #epoll: number;
  readonly #events = Buffer.alloc(AT_ONCE * EVENT.bytes);

  constructor() {
    this.#epoll = orThrow('epoll_create1', epollCreate(EPOLL_CLOEXEC));
  }

  /** Has a descriptor told of as long as there is something to read from it, until it is closed. */
  add(fd: number): void {
    const event = Buffer.alloc(EVENT.bytes);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeInt32LE(fd, EVENT.data);
    orThrow('epoll_ctl', epollControl(this.#epoll, EPOLL_CTL_ADD, fd, event));
  }

  /** Waits so many milliseconds at most, 0: not at all. Returns of how many descriptors `ready` tells, none after a signal. */
  wait(milliseconds: number): number {
    return Math.max(0, epollWait(this.#epoll, this.#events, AT_ONCE, milliseconds));
  }

  /** A descriptor that there is something to read from. @param index below what `wait` has returned */
  ready(index: number): number {
    return this.#events.readInt32LE(index * EVENT.bytes + EVENT.data);
  }

  close(): void {
    closeSync(this.#epoll);
  }
}

/** A descriptor that one thread makes readable to wake another. @throws where there are too many open files */
export function makeDoorbell(): number {
  return orThrow('eventfd', eventFd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

export function ring(doorbell: number): void {
  writeSync(doorbell, ONE);
}

/** To be called before looking what it was rung for: what comes afterwards rings again. @throws where it has not been rung */
export function answerDoorbell(doorbell: number): void {
  readSync(doorbell, Buffer.alloc(ONE.length));
}

const ONE = Buffer.from(BigUint64Array.of(1n).buffer);

function orThrow(call: string, result: number): number {
  if (result >= 0) return result;
  throw new Error(`${call}: errno ${koffi.errno()}`);
}
