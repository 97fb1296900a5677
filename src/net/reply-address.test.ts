import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROADCAST_FLAG, type DhcpPacket } from './dhcp.ts';
import { DHCP_MESSAGE, DHCP_OPTION } from './dhcp-options.ts';
import { replyAddress } from './reply-address.ts';

const ack: DhcpPacket = {
  op: 2,
  htype: 1,
  hlen: 6,
  hops: 0,
  xid: 1,
  secs: 0,
  flags: 0,
  ciaddr: '0.0.0.0',
  yiaddr: '10.0.0.9',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: Buffer.alloc(16),
  sname: '',
  file: '',
  options: new Map([[DHCP_OPTION.messageType, Buffer.of(DHCP_MESSAGE.ack)]]),
};
const nak: DhcpPacket = {
  ...ack,
  options: new Map([[DHCP_OPTION.messageType, Buffer.of(DHCP_MESSAGE.nak)]]),
};
const broadcast = { address: '255.255.255.255', port: 68 };

test('DHCP-2: through a relay, to the relay, port 67', () => {
  const relay = { address: '10.1.0.1', port: 67 };
  assert.deepEqual(replyAddress({ ...ack, giaddr: '10.1.0.1', ciaddr: '10.0.0.9' }), relay);
  assert.deepEqual(replyAddress({ ...nak, giaddr: '10.1.0.1' }), relay);
});

test('DHCP-2: to a client that has its address, unicast, even when it asks for broadcast', () => {
  const reply = { ...ack, ciaddr: '10.0.0.9', flags: BROADCAST_FLAG };
  assert.deepEqual(replyAddress(reply), { address: '10.0.0.9', port: 68 });
});

test('DHCP-2: to a client without an address, broadcast, whether it asks for it or not', () => {
  assert.deepEqual(replyAddress({ ...ack, flags: BROADCAST_FLAG }), broadcast);
  assert.deepEqual(replyAddress(ack), broadcast);
});

test('DHCP-5: a NAK is broadcast', () => {
  assert.deepEqual(replyAddress({ ...nak, ciaddr: '10.0.0.9' }), broadcast);
});
