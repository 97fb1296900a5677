import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from '../src/net/dhcp.ts';
import { DHCP_OPTION } from '../src/net/dhcp-options.ts';
import { cablePorts, PlainRom } from './cable.ts';
import { parseMachineRequest } from './state.ts';

const DISCOVER: DhcpPacket = {
  op: 1,
  htype: 1,
  hlen: 6,
  hops: 0,
  xid: 7,
  secs: 4,
  flags: 0x8000,
  ciaddr: '0.0.0.0',
  yiaddr: '0.0.0.0',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: Buffer.alloc(16, 2),
  sname: '',
  file: '',
  options: new Map([
    [DHCP_OPTION.messageType, Buffer.of(1)],
    [DHCP_OPTION.vendorClass, Buffer.from('PXEClient:Arch:00000:UNDI:002001')],
    [DHCP_OPTION.userClass, Buffer.from('iPXE')],
    [DHCP_OPTION.ipxe, Buffer.of(0x13, 1, 1)],
    [DHCP_OPTION.clientArch, Buffer.of(0, 0)],
  ]),
};

/** An Ethernet frame with a UDP datagram to a port, with checksums that nobody looks at here. */
function frame(port: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(14 + 20 + 8);
  head.writeUInt16BE(0x0800, 12);
  head.writeUInt8(0x45, 14);
  head.writeUInt8(17, 14 + 9);
  head.writeUInt16BE(port, 14 + 20 + 2);
  head.writeUInt16BE(8 + payload.length, 14 + 20 + 4);
  head.writeUInt16BE(0xbeef, 14 + 20 + 6);
  return Buffer.concat([head, payload]);
}

test('until a ROM asks for a loader, nothing in its requests says iPXE, and all else is as it was', () => {
  const rom = new PlainRom();
  const packet = encodeDhcp(DISCOVER);
  const hidden = frame(67, packet);
  rom.pass(hidden);
  const seen = decodeDhcp(hidden.subarray(42));
  const left = new Map(DISCOVER.options);
  left.delete(DHCP_OPTION.userClass);
  left.delete(DHCP_OPTION.ipxe);
  assert.deepEqual(seen, { ...DISCOVER, options: left });
  assert.equal(hidden.readUInt16BE(40), 0, 'without a checksum, rather than with a wrong one');

  const data = frame(1234, packet);
  rom.pass(data);
  assert.deepEqual(data, frame(1234, packet), 'what is not for a DHCP server is left alone');

  rom.pass(frame(69, Buffer.from('\0\x01undionly.kpxe\0octet\0')));
  const loaded = frame(67, packet);
  rom.pass(loaded);
  assert.deepEqual(loaded, frame(67, packet), 'the iPXE that was loaded may say that it is one');
});

test('frames that are no datagrams, and cut-off ones, pass', () => {
  const whole = frame(67, encodeDhcp(DISCOVER));
  for (let length = 0; length < whole.length; length += 7)
    new PlainRom().pass(Buffer.from(whole.subarray(0, length)));
  const arp = Buffer.alloc(60, 6);
  new PlainRom().pass(arp);
  assert.deepEqual(arp, Buffer.alloc(60, 6));
});

test('no two machines of a lab share a port', () => {
  const ports = ['tap0', 'tap1', 'tap12'].flatMap((tap) => Object.values(cablePorts(tap)));
  assert.equal(new Set(ports).size, 12);
});

test('firmware is asked only for what it can do', () => {
  const machine = { name: 'm', mac: '52:54:00:00:00:01', diskBytes: 512 };
  assert.equal(
    parseMachineRequest({ ...machine, firmware: 'uefi', netboot: 'uefi-http' }).netboot,
    'uefi-http',
  );
  assert.throws(() => parseMachineRequest({ ...machine, netboot: 'uefi-pxe' }), {
    code: 'LAB_REQUEST',
    message: /netboot/,
  });
  assert.throws(() => parseMachineRequest({ ...machine, firmware: 'uefi', netboot: 'chained-ipxe' }), {
    code: 'LAB_REQUEST',
  });
});
