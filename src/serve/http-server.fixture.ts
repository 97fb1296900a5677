/** For tests: an HTTP server at a free port of the loopback interface, and curl as its client. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { run } from '../system/run.ts';

export interface Answered {
  status: number;
  /** By lower-case name. */
  headers: Map<string, string>;
  body: string;
}

/** Starts a server that is gone when the test is over; returns its URL, without a slash at its end. */
export async function serveHttp(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<unknown>,
): Promise<string> {
  const server = createServer((request, response) => void answer(request, response));
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  t.after(() => server.close().closeAllConnections());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}

/** Asks with curl, which takes paths just as they are written. */
export async function curl(url: string, ...options: string[]): Promise<Answered> {
  const { stdout } = await run('curl', [
    '--silent',
    '--include',
    '--path-as-is',
    '--max-time',
    '20',
    ...options,
    url,
  ]);
  const [head = '', ...rest] = stdout.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const status = Number(first.split(' ')[1]);
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status, headers: new Map(headers), body: rest.join('\r\n\r\n') };
}
