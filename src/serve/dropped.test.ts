import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DroppedPackets } from './dropped.ts';

test('all that is dropped is counted by kind; each sender is told of once a minute', () => {
  const told: string[] = [];
  const dropped = new DroppedPackets((reason, doing) => told.push(`${doing}: ${reason}`));
  for (let packet = 1; packet <= 1000; packet++) dropped.add('dhcp', '10.0.0.9', `packet ${packet}`);
  dropped.add('tftp', '10.0.0.9', 'no opcode');
  dropped.add('dhcp', '10.0.0.8', 'too short');
  assert.deepEqual(told, [
    'reading DHCP: 10.0.0.9: packet 1',
    'reading TFTP: 10.0.0.9: no opcode',
    'reading DHCP: 10.0.0.8: too short',
  ]);
  const [dhcp, tftp, http] = dropped.all();
  assert.deepEqual([dhcp?.count, dhcp?.last?.from, dhcp?.last?.reason], [1001, '10.0.0.8', 'too short']);
  assert.equal(tftp?.count, 1);
  assert.deepEqual(http, { kind: 'http', count: 0 });
});
