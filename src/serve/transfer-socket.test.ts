import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { run } from '../system/run.ts';
import { exchange } from './transfer-socket.fixture.ts';

for (const { what, packets, size, last } of [
  { what: 'one packet', packets: 1, size: 1472, last: 5 },
  { what: 'a window', packets: 16, size: 1472, last: 4 },
  { what: 'a window that ends with a full packet', packets: 4, size: 100, last: 100 },
  { what: 'more than one call of the kernel can send', packets: 64, size: 1472, last: 1472 },
]) {
  test(`${what} arrives packet by packet, in order`, async () => {
    assert.deepEqual(await exchange(packets, size, last), lengths(packets, size, last));
  });
}

test('over a device whose packets are smaller than those of the window, it is sent in fragments', async () => {
  const program = fileURLToPath(new URL('transfer-socket.fixture.ts', import.meta.url));
  const narrow = 'ip link set lo up mtu 1000 && exec "$0" "$@"';
  const exchanging = [process.execPath, program, '16', '1472', '4'];
  const { stdout } = await run('unshare', ['--net', 'bash', '-c', narrow, ...exchanging]);
  assert.deepEqual(JSON.parse(stdout), lengths(16, 1472, 4));
});

const lengths = (packets: number, size: number, last: number): number[] => [
  ...Array.from({ length: packets - 1 }, () => size),
  last,
];
