import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCaptures } from './captures.fixture.ts';
import { decodeDhcp, encodeDhcp } from './dhcp.ts';
import { formatMac } from './mac.ts';
import { decodeTftp, encodeTftp } from './tftp.ts';

for (const { client, dhcp, tftp, golden } of readCaptures()) {
  test(`what ${client} sends is read as tcpdump reads it`, () => {
    assert.ok(dhcp.length > 0);
    const read = dhcp.map((bytes) => {
      const { chaddr, hlen, xid, secs, flags, options } = decodeDhcp(bytes);
      const lengths = [...options].map(([code, value]) => `${code}/${value.length}`);
      return { mac: formatMac(chaddr.subarray(0, hlen)), xid, secs, flags, options: lengths.join(' ') };
    });
    assert.deepEqual(read, golden);
  });

  test(`what ${client} sends is written as it was read`, () => {
    for (const bytes of dhcp) {
      const packet = decodeDhcp(bytes);
      assert.deepEqual(decodeDhcp(encodeDhcp(packet)), packet);
    }
    for (const bytes of tftp) {
      // A request ends where its last option does: here it can only be the same, byte for byte.
      assert.deepEqual(encodeTftp(decodeTftp(bytes)), bytes);
    }
  });
}

test('TFTP-18: loaders are asked for by ROMs and by UEFI, each with its own options', () => {
  const asked = readCaptures().flatMap(({ client, tftp }) =>
    tftp.map((bytes) => {
      const request = decodeTftp(bytes);
      assert.ok(request.type === 'rrq');
      return `${client}: ${request.file} ${JSON.stringify(Object.fromEntries(request.options))}`;
    }),
  );
  assert.deepEqual(asked, [
    // EDK2 asks for the size, gives up that transfer with error 8, and begins anew.
    'ovmf-pxe: snponly.efi {"tsize":"0","blksize":"1468","windowsize":"4"}',
    'ovmf-pxe: snponly.efi {"blksize":"1468","windowsize":"4"}',
    'plain-rom: undionly.kpxe {"blksize":"1432","tsize":"0"}',
  ]);
});
