import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPiped } from '../src/system/run.ts';
import { inNamespaces } from '../src/tree/namespaces.ts';
import { memoryOf } from './process-memory.ts';

/** Bytes of memory of a shell and two processes below it that hold so many bytes each. */
async function memoryHolding(bytes: number): Promise<number> {
  const hold = `globalThis.held = Buffer.alloc(${bytes}, 1); console.log('held'); setInterval(() => 0, 1000);`;
  const shell = [
    'sh',
    '-c',
    '"$0" -e "$1" & sh -c \'"$0" -e "$1" & wait\' "$0" "$1"',
    process.execPath,
    hold,
  ];
  const stop = new AbortController();
  const child = startPiped(...inNamespaces(shell), { signal: stop.signal, killSignal: 'SIGKILL' });
  let said = '';
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said === 'held\nheld\n') break;
  }
  const memory = memoryOf(child.pid ?? 0);
  stop.abort(new Error('seen'));
  await assert.rejects(child.done, /seen/);
  return memory;
}

test('memory is that of a process and of all that were started below it, together', async () => {
  const held = 200e6;
  const more = (await memoryHolding(held)) - (await memoryHolding(0));
  assert.ok(more > 1.8 * held && more < 2.2 * held, `${more} bytes more`);
});

test('a process that is gone has no memory, and is no error', async () => {
  const child = startPiped('true', []);
  child.stdout.resume();
  await child.done;
  assert.equal(memoryOf(child.pid ?? 0), 0);
});
