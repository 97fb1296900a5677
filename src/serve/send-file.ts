import { open, type FileHandle } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BladerootError, errorCode } from '../errors.ts';
import { BufferPool } from './buffer-pool.ts';
import { SendTurns } from './send-turns.ts';

/** Up to so many readers each take what they can; more take turns. */
const FEW_READERS = 8;
/** Bytes read at once for one of a few: frameworks' file senders read 64 KiB and reach half the speed. */
const LARGE_PIECE = 1024 * 1024;
/** For one of many: this much waits for each of them that is slow. */
const SMALL_PIECE = 128 * 1024;

export interface SendFileOptions {
  /** Milliseconds in which a client must take what was read at once, 128 KiB or 1 MiB; a minute when left out. */
  stallMs?: number;
}

/** How far a client has come in a file, in bytes from its beginning. */
export interface Sent {
  done: number;
  total: number;
}

/**
 * Answers GET and HEAD with a file, or with one range of it (RFC 9110 14.2; several ranges get the whole file).
 * Resolves when the last byte has been handed to the system, or the client is gone; undefined where no bytes of the file
 * were asked for. Always an exact Content-Length, never compressed: UEFI's HTTP boot asks HEAD first and believes it.
 */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { stallMs = 60_000 }: SendFileOptions = {},
): Promise<Sent | undefined> {
  await turns.arrive(request.socket);
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    sendText(response, 404, 'there is no such file here\n');
    return undefined;
  }
  try {
    const { size } = await file.stat();
    const range = parseRange(rangeAskedFor(request), size);
    if (range === 'unsatisfiable') {
      response.setHeader('Content-Range', `bytes */${size}`);
      sendText(response, 416, 'the file is shorter than that\n');
      return undefined;
    }
    const { start, end } = range ?? { start: 0, end: size };
    if (range !== undefined) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${size}`);
    response.writeHead(range === undefined ? 200 : 206, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': end - start,
      'Accept-Ranges': 'bytes',
    });
    if (request.method === 'HEAD') {
      response.end();
      return undefined;
    }
    return { done: await sendBytes(response, file, { start, end, stallMs }), total: size };
  } finally {
    await file.close();
  }
}

export function sendText(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

/** All servers of this process share its one event loop and its memory. */
let readers = 0;
const turns = new SendTurns();
const buffers = new BufferPool();

/**
 * Sends to one of a few by reading a piece while the one before goes out, to one of many a piece in turn. Returns where in
 * the file it ended. A client that goes away in the middle, or that takes nothing for long, is its own affair; a file that
 * shrinks is an error.
 */
async function sendBytes(
  response: ServerResponse,
  file: FileHandle,
  { start, end, stallMs }: { start: number; end: number; stallMs: number },
): Promise<number> {
  readers++;
  // What was read and still waits here has not left.
  const sentUntil = (at: number): number =>
    Math.max(start, at - response.writableLength - (response.socket?.writableLength ?? 0));
  let at = start;
  try {
    let taken = Promise.resolve(true);
    while (at < end) {
      const areMany = readers > FEW_READERS;
      if (areMany) {
        if (!(await taken)) return sentUntil(at);
        await turns.next();
      }
      const buffer = buffers.take(areMany || end - at <= SMALL_PIECE ? SMALL_PIECE : LARGE_PIECE);
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (!(await taken)) return sentUntil(at);
      if (bytesRead === 0) throw new BladerootError('FILE_SHRANK', 'a file became shorter while it was sent');
      at += bytesRead;
      taken = writePiece(response, buffer, bytesRead, stallMs);
    }
    if (!(await taken)) return sentUntil(at);
    response.end();
    return end;
  } finally {
    readers--;
  }
}

/** Whether the client took the piece. The buffer of one that did not may still be in use. */
async function writePiece(
  response: ServerResponse,
  buffer: Buffer,
  bytes: number,
  stallMs: number,
): Promise<boolean> {
  const isTaken = await write(response, buffer.subarray(0, bytes), stallMs);
  if (isTaken) buffers.giveBack(buffer);
  return isTaken;
}

/** Whether the client took the bytes; when it did not in time, its connection is broken off. */
async function write(response: ServerResponse, bytes: Buffer, stallMs: number): Promise<boolean> {
  // The request's: a response that waits for the one before it on the same connection has none yet.
  const socket: Socket = response.req.socket;
  if (socket.destroyed) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const gone = (): void => resolve(false);
  socket.once('close', gone);
  const timer = setTimeout(() => socket.destroy(), stallMs);
  response.write(bytes, (error) => resolve(error === null || error === undefined));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off('close', gone);
  }
}

/**
 * A range of a HEAD request means nothing (RFC 9110 14.2), and there are no validators here that If-Range could name: what
 * it has the beginning of may be another release's file.
 */
function rangeAskedFor({ method, headers }: IncomingMessage): string | undefined {
  return method === 'GET' && headers['if-range'] === undefined ? headers.range : undefined;
}

/** The range asked for as [start, end); undefined when there is none that is to be obeyed. */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const suffix = Math.min(Number(last), size);
    return suffix === 0 ? 'unsatisfiable' : { start: size - suffix, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
