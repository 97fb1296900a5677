import { open, type FileHandle } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { BladerootError, errorCode } from '../errors.ts';

/** Bytes read at once: frameworks' file senders read 64 KiB and reach half the speed. */
const READ_SIZE = 1024 * 1024;

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
): Promise<Sent | undefined> {
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
    return { done: await sendBytes(response, file, start, end), total: size };
  } finally {
    await file.close();
  }
}

export function sendText(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

/**
 * Returns where in the file it ended. A client that goes away in the middle is its own affair, and a file that shrinks cuts
 * the answer off, unfinished.
 */
async function sendBytes(
  response: ServerResponse,
  file: FileHandle,
  start: number,
  end: number,
): Promise<number> {
  let read = start;
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of chunksOf(file, start, end)) {
      read += chunk.length;
      yield chunk;
    }
  }
  const { socket } = response;
  try {
    await pipeline(chunks(), response);
    return end;
  } catch (error) {
    if (errorCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    // What was read and still waits here has not left.
    return Math.max(start, read - response.writableLength - (socket?.writableLength ?? 0));
  }
}

async function* chunksOf(file: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(READ_SIZE, end - at)), {
      position: at,
    });
    if (bytesRead === 0) throw new BladerootError('FILE_SHRANK', 'a file became shorter while it was sent');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
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
