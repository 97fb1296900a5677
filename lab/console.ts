import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { BladerootError, describeError, errorCode } from '../src/errors.ts';

export interface Terminal {
  input: Readable;
  output: Writable;
  signal?: AbortSignal | undefined;
}

/**
 * Joins a terminal to a machine's console until Ctrl-] is pressed (`left`), the machine goes off (`off`), or the
 * signal is aborted (`left`). While it lasts the terminal is in raw mode, so that Ctrl-C reaches the machine.
 * One terminal at a time: QEMU keeps a second one waiting.
 * @throws BladerootError `CONSOLE_CLOSED` when the machine is off.
 */
export async function attachConsole(socketPath: string, terminal: Terminal): Promise<'left' | 'off'> {
  const { input, output, signal } = terminal;
  const socket = connect(socketPath);
  const raw = input instanceof ReadStream && !input.isRaw ? input : undefined;
  const { promise, resolve, reject } = Promise.withResolvers<'left' | 'off'>();

  const leave = (): void => resolve('left');
  const type = (typed: Buffer): void => {
    const end = typed.indexOf(LEAVE_KEY);
    socket.write(end === -1 ? typed : typed.subarray(0, end));
    if (end !== -1) leave();
  };
  const show = (bytes: Buffer): void => void output.write(bytes);

  socket.on('data', show);
  socket.once('close', () => resolve('off'));
  socket.once('error', (cause) => {
    // A machine that goes off resets the connection.
    if (errorCode(cause) === 'ECONNRESET') resolve('off');
    else reject(unreachable(cause));
  });
  signal?.addEventListener('abort', leave, { once: true });
  raw?.setRawMode(true);
  input.on('data', type);
  input.resume();
  try {
    return await promise;
  } finally {
    input.off('data', type);
    // A terminal that is still being read would keep the process alive.
    input.pause();
    raw?.setRawMode(false);
    signal?.removeEventListener('abort', leave);
    socket.destroy();
  }
}

/**
 * Types at a machine's console, as if a person sat there.
 * @throws BladerootError `CONSOLE_CLOSED` when the machine is off.
 */
export async function typeAtConsole(socketPath: string, keys: string): Promise<void> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    socket.end(keys);
    // What the machine shows meanwhile is for its log.
    socket.resume();
    // It hangs up when it has read all: a serial port takes no more than its machine fetches.
    await once(socket, 'close');
  } catch (cause) {
    throw unreachable(cause);
  } finally {
    socket.destroy();
  }
}

function unreachable(cause: unknown): BladerootError {
  return new BladerootError('CONSOLE_CLOSED', `the console cannot be reached: ${describeError(cause)}`, {
    hint: 'switch the machine on first',
    cause,
  });
}

/** Ctrl-], as telnet and virsh have it. */
const LEAVE_KEY = 0x1d;
