/** For tests: an HTTP server at a free port of the loopback interface that stands for the server of a store. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { TestContext } from 'node:test';

export interface StoreServer {
  /** `http://127.0.0.1:PORT/store/`. */
  url: string;
  /** How many have been made so far. */
  connections: number;
  /** What was asked for so far: method, path and query; then the range, where there was one. */
  asked: string[];
}

/** Starts a server that is gone when the test is over; with a key and a certificate (PEM) it speaks TLS. */
export async function serveStore(
  t: TestContext,
  listener: RequestListener,
  tls?: { key: string; cert: string },
): Promise<StoreServer> {
  const served: StoreServer = { url: '', connections: 0, asked: [] };
  const answer: RequestListener = (request, response) => {
    const { method, url, headers } = request;
    served.asked.push([method, url, headers.range].filter((part) => part !== undefined).join(' '));
    listener(request, response);
  };
  const server: Server = tls === undefined ? createServer(answer) : createHttpsServer(tls, answer);
  server.on(tls === undefined ? 'connection' : 'secureConnection', () => served.connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  served.url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}/store/`;
  return served;
}

/** Hands out these bytes, and any range of them, as a server should. */
export function bytesListener(bytes: Buffer): RequestListener {
  return (request, response) => {
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [start, last] = [Number(match?.[1] ?? 0), match?.[2] ? Number(match[2]) : Infinity];
    if (match !== null && start >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end('no such range');
      return;
    }
    const part = bytes.subarray(start, last + 1);
    response.writeHead(match === null ? 200 : 206, {
      'content-length': part.length,
      ...(match !== null && {
        'content-range': `bytes ${start}-${start + part.length - 1}/${bytes.length}`,
      }),
    });
    response.end(part);
  };
}
