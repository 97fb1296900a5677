import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readExchange } from './dhcp.ts';

test('the packets that perfdhcp counts are read, lost ones of both halves together', () => {
  const said = `Rate: 83.3 4-way exchanges/second, expected rate: 100
***Statistics for: DISCOVER-OFFER***
sent packets: 500
received packets: 499
drops: 1
***Statistics for: REQUEST-ACK***
sent packets: 499
received packets: 497
drops: 2
`;
  const { begun, reached, drops, dropRatio } = readExchange(said, 100, 5);
  assert.deepEqual([begun, reached, drops], [100, 99.4, 3]);
  assert.equal(dropRatio, 3 / 999);
  assert.throws(() => readExchange('nothing', 100, 5), { code: 'BENCH_PERFDHCP' });
});
