/**
 * A program: `http-crowd.ts CLIENTS URL BYTES SCRIPT`. As many clients fetch a file at once, each over a connection of its
 * own, and a script is asked for again and again until they have it. Prints JSON.
 */
import { get } from 'node:http';
import { once } from 'node:events';
import { run } from '../../src/system/run.ts';

async function fetchSize(url: string): Promise<number> {
  const [response] = await once(get(url, { agent: false }), 'response');
  let size = 0;
  for await (const chunk of response) size += chunk.length;
  return size;
}

const [clients = '', url = '', bytes = '', script = ''] = process.argv.slice(2);
const begun = performance.now();
const fetched = new AbortController();
const everyone = Promise.allSettled(Array.from({ length: Number(clients) }, () => fetchSize(url)));
void everyone.then(() => fetched.abort());
const scripts: number[] = [];
// By a process of its own, or this one's own work would be in the time.
while (!fetched.signal.aborted) {
  const { stdout } = await run('curl', ['-sS', '--fail', '-w', '%{time_total}', '-o', '/dev/null', script]);
  scripts.push(Number(stdout));
}
const sizes = await everyone;
const whole = sizes.filter((size) => size.status === 'fulfilled' && size.value === Number(bytes)).length;
const seconds = (performance.now() - begun) / 1000;
const slowestScript = Math.max(...scripts);
process.stdout.write(`${JSON.stringify({ whole, seconds, scripts: scripts.length, slowestScript })}\n`);
