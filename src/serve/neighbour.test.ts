import assert from 'node:assert/strict';
import { test } from 'node:test';
import { macInTable } from './neighbour.ts';

/** As Linux 6.1 prints it. */
const TABLE = `IP address       HW type     Flags       HW address            Mask     Device
10.99.0.50       0x1         0x2         52:54:00:00:00:0b     *        wire0
10.99.0.5        0x1         0x0         00:00:00:00:00:00     *        wire0
`;

test("a neighbour's MAC stands in the kernel's table by its whole address; an entry without answer says nothing", () => {
  assert.equal(macInTable(TABLE, '10.99.0.50'), '52:54:00:00:00:0b');
  assert.equal(macInTable(TABLE, '10.99.0.5'), undefined);
  assert.equal(macInTable(TABLE, '10.99.0.51'), undefined);
  assert.equal(macInTable('', '10.99.0.50'), undefined);
});
