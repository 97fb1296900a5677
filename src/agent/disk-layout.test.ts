import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { errorCode } from '../errors.ts';
import { PARTITIONS } from '../slot/partitions.ts';
import { isLaidOut, planDisk, type DiskFacts } from './disk-layout.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

function disk(facts: Partial<DiskFacts> = {}): DiskFacts {
  const blank = { readOnly: false, removable: false, partitions: [], signatures: [], written: false };
  return { path: '/dev/vda', bytes: 20 * GiB, ...blank, ...facts };
}

function laidOut(path: string): Partial<DiskFacts> {
  const partitions = Object.values(PARTITIONS).map((name, i) => ({ path: `${path}${i + 1}`, name }));
  return { path, partitions, signatures: ['gpt'], written: true };
}

test('a blank disk is laid out: boot areas, two slots of the same size, and the rest for what persists', () => {
  const plan = planDisk([disk()], 4 * GiB, GiB);
  assert.equal(plan.action, 'lay-out');
  assert.deepEqual(plan.script.split('\n').slice(1, -1).map(fieldsOf), [
    { name: 'bladeroot-bios', size: '2MiB', type: '21686148-6449-6E6F-744E-656564454649' },
    { name: 'bladeroot-esp', size: '512MiB', type: 'uefi' },
    { name: 'bladeroot-a', size: '4096MiB', type: 'linux' },
    { name: 'bladeroot-b', size: '4096MiB', type: 'linux' },
    { name: 'bladeroot-persist', type: 'linux' },
  ]);
});

function fieldsOf(line: string): Record<string, string> {
  return Object.fromEntries(line.split(', ').map((field) => field.split('=', 2)));
}

function slotSize(bytes: number): string | undefined {
  return /bladeroot-a, size=(\w+)/.exec(planDisk([disk({ bytes })], undefined, 0).script)?.[1];
}

test('without a size of its own a slot is a third of the disk in whole MiB, and 32 GiB at the most', () => {
  assert.equal(slotSize(20 * GiB + 12345), `${Math.floor((20 * 1024 - 520) / 3)}MiB`);
  assert.equal(slotSize(4000 * GiB), '32768MiB');
});

test('a slot size that is no whole MiB is cut to one', () => {
  assert.match(planDisk([disk()], 3 * GiB + 1, 0).script, /bladeroot-a, size=3072MiB/);
});

test('a disk that is laid out is kept, wherever it stands among blank ones', () => {
  const ours = disk(laidOut('/dev/vdb'));
  const plan = planDisk([disk(), ours, disk({ path: '/dev/vdc' })], undefined, GiB);
  assert.deepEqual(plan, { disk: ours, action: 'keep', script: '' });
});

test('a disk with some of the partitions only is not laid out, and is not touched', () => {
  const half = disk({ ...laidOut('/dev/vda'), partitions: [{ path: '/dev/vda3', name: PARTITIONS.a }] });
  assert.equal(isLaidOut(half), false);
  assert.throws(() => planDisk([half], undefined, 0), /\/dev\/vda is not blank, it carries gpt, bladeroot-a/);
});

test('NO_FREE_DISK says of each disk why not, and what can be done', () => {
  const disks = [
    disk({ path: '/dev/sr0', readOnly: true }),
    disk({ path: '/dev/sda', removable: true }),
    disk({ path: '/dev/sdb', signatures: ['ext4'] }),
    disk({ path: '/dev/sdc', signatures: ['dos'], partitions: [{ path: '/dev/sdc1', name: '' }] }),
    disk({ path: '/dev/sdd', written: true }),
    disk({ path: '/dev/sdx', written: true, unreadable: 'input/output error' }),
    disk({ path: '/dev/sde', bytes: 6 * GiB }),
    disk({ path: '/dev/sdf', bytes: 100 * MiB }),
  ];
  const refused = (slot: number | undefined, needed: number): unknown => {
    try {
      return planDisk(disks, slot, needed);
    } catch (error) {
      return error;
    }
  };
  const error = refused(3 * GiB, GiB);
  assert.ok(error instanceof Error);
  assert.equal(errorCode(error), 'NO_FREE_DISK');
  assert.deepEqual(error.message.replace('no free disk: ', '').split('; '), [
    '/dev/sr0 is read-only',
    '/dev/sda is removable',
    '/dev/sdb is not blank, it carries ext4',
    '/dev/sdc is not blank, it carries dos, /dev/sdc1',
    '/dev/sdd is not blank, it carries data of an unknown kind',
    '/dev/sdx cannot be read (input/output error)',
    '/dev/sde is too small: it has 6144 MiB and needs 7688 MiB',
    '/dev/sdf is too small: it has 100 MiB and needs 7688 MiB',
  ]);
  const small = refused(undefined, 4 * GiB);
  assert.ok(small instanceof Error);
  assert.match(
    small.message,
    /sde is too small: a slot of it has 1874 MiB, the image needs 4096 MiB; .*sdf is too small: a slot of it has 0 MiB/,
  );
});

test('a machine without any disk is told so', () => {
  assert.throws(() => planDisk([], undefined, 0), /the machine has no disk that the kernel knows/);
});

test('no plan ever lays out a disk that carries anything, is read-only, removable or too small', () => {
  const facts: fc.Arbitrary<DiskFacts> = fc.record({
    path: fc.constantFrom('/dev/sda', '/dev/sdb', '/dev/nvme0n1'),
    bytes: fc.integer({ min: 0, max: 200 }).map((gib) => gib * GiB),
    readOnly: fc.boolean(),
    removable: fc.boolean(),
    partitions: fc.subarray(
      ['', 'data', ...Object.values(PARTITIONS)].map((name, i) => ({ path: `/dev/sda${i}`, name })),
    ),
    signatures: fc.subarray(['gpt', 'ext4', 'LVM2_member']),
    written: fc.boolean(),
  });
  const slot = fc.option(
    fc.integer({ min: 1, max: 40 }).map((gib) => gib * GiB),
    { nil: undefined },
  );
  const needed = fc.integer({ min: 0, max: 8 }).map((gib) => gib * GiB);
  fc.assert(
    fc.property(fc.array(facts, { maxLength: 4 }), slot, needed, (disks, slotBytes, neededBytes) => {
      let plan;
      try {
        plan = planDisk(disks, slotBytes, neededBytes);
      } catch (error) {
        assert.equal(errorCode(error), 'NO_FREE_DISK');
        return;
      }
      assert.ok(disks.includes(plan.disk));
      if (plan.action === 'keep') {
        assert.ok(isLaidOut(plan.disk));
        return;
      }
      const { readOnly, removable, partitions, signatures, written, bytes } = plan.disk;
      assert.deepEqual(
        { readOnly, removable, partitions, signatures, written },
        { readOnly: false, removable: false, partitions: [], signatures: [], written: false },
      );
      assert.ok(!disks.some(isLaidOut), 'the blade keeps the disk that it has');
      const sizes = [...plan.script.matchAll(/size=(\d+)MiB/g)].map(([, size]) => Number(size) * MiB);
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) + GiB <= bytes, 'a GiB is left to persist');
    }),
  );
});
