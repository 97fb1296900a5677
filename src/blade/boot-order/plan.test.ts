import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { BootOrder } from '../../fleet/schema.ts';
import { parseBootEntries, type BootEntries, type BootEntry } from './entries.ts';
import { LABEL, nextCall, type EspPlace } from './plan.ts';

const ESP: EspPlace = { disk: '/dev/vda', partition: 2, partuuid: '5AB4E7A1-0000-4000-8000-0000000000b2' };
const OWN = String.raw`HD(2,GPT,5ab4e7a1-0000-4000-8000-0000000000b2,0x1800,0x100000)/File(\EFI\BOOT\BOOTX64.EFI)`;
const ELSEWHERE = OWN.replace('00b2', '00c3');
const SECOND: EspPlace = { ...ESP, disk: '/dev/vdb', partuuid: ESP.partuuid.replace('00b2', '00c3') };
const PXE =
  'PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,1)/IPv4(0.0.0.0,0,DHCP,0.0.0.0,0.0.0.0,0.0.0.0)N.....YM....R,Y.';

/** A firmware that does what efibootmgr tells it, and numbers new entries itself. */
function carryOut(found: BootEntries, call: readonly string[]): BootEntries {
  const [first, number = ''] = call;
  const { order, entries } = found;
  if (first === '--bootorder') return { entries, order: number.split(',') };
  if (first === '--create-only') {
    const free = [...Array(256).keys()]
      .map(hex)
      .find((one) => !entries.some((entry) => entry.number === one));
    const isSecond = call[2] === SECOND.disk;
    const { disk } = isSecond ? SECOND : ESP;
    const place = ['--disk', disk, '--part', '2', '--label', LABEL];
    assert.deepEqual(call.slice(1), [...place, '--loader', String.raw`\EFI\BOOT\BOOTX64.EFI`]);
    const path = isSecond ? ELSEWHERE : OWN;
    return { order, entries: [...entries, { number: free ?? '', isActive: true, label: LABEL, path }] };
  }
  assert.equal(first, '--bootnum');
  if (call[2] === '--active') {
    return {
      order,
      entries: entries.map((one) => (one.number === number ? { ...one, isActive: true } : one)),
    };
  }
  assert.equal(call[2], '--delete-bootnum');
  return {
    order: order.filter((one) => one !== number),
    entries: entries.filter((one) => one.number !== number),
  };
}

function hex(number: number): string {
  return number.toString(16).toUpperCase().padStart(4, '0');
}

function settle(found: BootEntries, wish: BootOrder, esps: readonly EspPlace[] = [ESP]): BootEntries {
  let now = found;
  for (let calls = 0; calls <= 20; calls++) {
    const call = nextCall(now, wish, esps);
    if (call === undefined) return now;
    now = carryOut(now, call);
  }
  return assert.fail('it never comes to an end');
}

const kinds = fc.constantFrom(
  { label: 'UEFI PXEv4 (MAC:525400123456)', path: PXE },
  { label: 'UEFI Misc Device', path: 'PciRoot(0x0)/Pci(0x4,0x0)N.....YM....R,Y.' },
  { label: LABEL, path: OWN },
  { label: LABEL, path: ELSEWHERE },
);

/** What firmware may come up with: entries that no order names, orders that name no entry, several of ours. */
const firmware: fc.Arbitrary<BootEntries> = fc
  .array(fc.tuple(kinds, fc.boolean()), { maxLength: 8 })
  .chain((list) => {
    const entries = list.map(([kind, isActive], index): BootEntry => ({
      ...kind,
      isActive,
      number: hex(index),
    }));
    const numbers = [...entries.map(({ number }) => number), '00FE'];
    return fc.shuffledSubarray(numbers).map((order) => ({ order, entries }));
  });

test('whatever the firmware has, it comes to one entry of ours, in its place, and all others stay in their order', () => {
  fc.assert(
    fc.property(firmware, fc.constantFrom('network-first', 'disk-first'), (found, wish) => {
      const { order, entries } = settle(found, wish);
      const own = entries.filter(({ label }) => label === LABEL);
      assert.equal(own.length, 1);
      assert.ok(own[0]?.isActive && own[0].path === OWN);
      const place = order.indexOf(own[0].number);
      const before = order.slice(0, place);
      const isNetwork = (number: string): boolean =>
        entries.some((entry) => entry.number === number && entry.path === PXE);
      const expected = wish === 'disk-first' ? [] : order.filter(isNetwork);
      assert.deepEqual(before, expected);
      const others = (all: BootEntries, some: (number: string) => boolean): string[] =>
        all.order.filter(
          (number) =>
            some(number) && !found.entries.some((one) => one.number === number && one.label === LABEL),
        );
      for (const some of [isNetwork, (number: string) => !isNetwork(number) && number !== own[0]?.number]) {
        assert.deepEqual(others({ order, entries }, some), others(found, some));
      }
    }),
  );
});

test('a mirror has an entry for each of its disks, once, beside each other', () => {
  fc.assert(
    fc.property(firmware, fc.constantFrom('network-first', 'disk-first'), (found, wish) => {
      const settled = settle(found, wish, [ESP, SECOND]);
      const own = settled.entries.filter(({ label }) => label === LABEL);
      assert.deepEqual(own.map(({ path }) => path).sort(), [OWN, ELSEWHERE].sort());
      const [first, second] = own.map(({ number }) => settled.order.indexOf(number));
      assert.equal(Math.abs((first ?? 0) - (second ?? 0)), 1);
      assert.equal(nextCall(settled, wish, [ESP, SECOND]), undefined);
    }),
  );
});

test('what is right is left alone: nothing is written however often a blade is deployed', () => {
  fc.assert(
    fc.property(firmware, fc.constantFrom('network-first', 'disk-first'), (found, wish) => {
      assert.equal(nextCall(settle(found, wish), wish, [ESP]), undefined);
    }),
  );
});

test('firmware that has put the disk first again is told once more', () => {
  const entries = parseBootEntries(
    [
      'BootCurrent: 0001',
      'Timeout: 0 seconds',
      'BootOrder: 0003,0000,0001,0002',
      'Boot0000* UiApp\tFvVol(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(462caa21-7614-4503-836e-8ab6f4662331)',
      'Boot0001* UEFI Misc Device\tPciRoot(0x0)/Pci(0x4,0x0)N.....YM....R,Y.',
      `Boot0002* UEFI PXEv4 (MAC:525400123456)\t${PXE}`,
      `Boot0003* bladeroot\t${OWN}`,
      'MirroredPercentageAbove4G: 0.00',
      '',
    ].join('\n'),
  );
  assert.deepEqual(nextCall(entries, 'network-first', [ESP]), ['--bootorder', '0002,0003,0000,0001']);
  assert.equal(nextCall(entries, 'disk-first', [ESP]), undefined);
});

test('an entry that was switched off is switched on again', () => {
  const own = { number: '0007', isActive: false, label: LABEL, path: OWN };
  assert.deepEqual(nextCall({ order: ['0007'], entries: [own] }, 'disk-first', [ESP]), [
    '--bootnum',
    '0007',
    '--active',
  ]);
});
