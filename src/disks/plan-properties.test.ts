/** What holds of every plan, for any disks and any two layouts, the one before and the one that is wanted now. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { disksSchema, FILE_SYSTEMS } from '../fleet/disk-fields.ts';
import { layoutOf, OWN_PREFIX, type Layout } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { isBlank, isLaidOut } from './choose.ts';
import { afterwards, blankDisk, usedDisk } from './disks.fixture.ts';
import { fingerprintOf } from './fingerprint.ts';
import { planDisks, type DiskPlan } from './plan.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

const size = fc.oneof(
  fc.integer({ min: 1, max: 6 }).map((number) => `${number}GiB`),
  fc.integer({ min: 1, max: 30 }).map((number) => `${number}%`),
);
const further = fc.record(
  { size, fs: fc.constantFrom(...FILE_SYSTEMS), keep: fc.boolean() },
  { requiredKeys: ['size'] },
);

const layouts: fc.Arbitrary<Layout> = fc
  .record(
    {
      slot: fc.constantFrom('1GiB', '2GiB', '3GiB', '10%'),
      partitions: fc.record(
        {
          persist: fc.record({ size, keep: fc.boolean() }, { requiredKeys: [] }),
          data: further,
          logs: further,
        },
        { requiredKeys: [] },
      ),
      use: fc.record({ pick: fc.constantFrom('smallest', 'largest') }, { requiredKeys: [] }),
    },
    { requiredKeys: ['partitions'] },
  )
  .map((disks) => layoutOf(disksSchema.parse(disks)));

const bytes = fc
  .integer({ min: 100, max: 64 * 1024 })
  .chain((mebi) => fc.nat(4096).map((odd) => mebi * MiB + odd * 512));

const foreign = fc
  .tuple(bytes, fc.nat(1000), fc.integer({ min: 1, max: 2000 }), fc.constantFrom('', 'root', 'bladeroot-a'))
  .map(([total, start, length, name]): DiskFacts => {
    const one: PartitionFacts = {
      number: 1,
      path: '/dev/sda1',
      name,
      uuid: 'foreign',
      type: 'linux',
      start: (1 + start) * MiB,
      bytes: length * MiB,
      fileSystem: 'ext4',
      blank: false,
    };
    return usedDisk('/dev/sda', total, [one]);
  });

const unknown = bytes.map((total): DiskFacts => {
  const disk = blankDisk('/dev/sdb', total);
  return { ...disk, contents: { ...disk.contents, written: true } };
});

/** Laid out for some layout, on a disk that may have grown since, and on which somebody may have made a partition more. */
const ours = fc
  .tuple(bytes, layouts, fc.nat(20), fc.boolean())
  .map(([total, before, grown, isMixed]): DiskFacts => {
    const blank = blankDisk('/dev/vda', total);
    const made = planDisks([blank], before, 0);
    const disk = made.action === 'refuse' ? blank : afterwards(made);
    const larger = { ...disk, bytes: total + grown * GiB };
    if (made.action === 'refuse' || grown === 0 || !isMixed) return larger;
    const home: PartitionFacts = {
      number: 90,
      path: '/dev/vda90',
      name: 'home',
      uuid: 'home',
      type: 'linux',
      start: Math.ceil(total / MiB) * MiB,
      bytes: 100 * MiB,
      fileSystem: 'ext4',
      blank: false,
    };
    const { contents } = larger;
    return { ...larger, contents: { ...contents, partitions: [...contents.partitions, home] } };
  });

const machines = fc.array(
  fc.oneof(
    ours,
    foreign,
    unknown,
    bytes.map((total) => blankDisk('/dev/vdb', total)),
  ),
  { maxLength: 3 },
);

/** With the permission for one of the disks, for all of them, or for none. */
const allowed = fc
  .tuple(machines, layouts, fc.constantFrom('ask', 'always', 'one'))
  .map(([disks, layout, wipe]) => {
    const [first] = disks;
    return {
      disks,
      layout: {
        ...layout,
        wipe: wipe === 'one' && first !== undefined ? fingerprintOf(first) : wipe === 'one' ? 'ask' : wipe,
      },
    };
  });

function forEveryPlan(check: (plan: DiskPlan, layout: Layout) => void): void {
  let plans = 0;
  fc.assert(
    fc.property(allowed, fc.integer({ min: 0, max: 2 * GiB }), ({ disks, layout }, needed) => {
      const plan = planDisks(disks, layout, needed);
      if (plan.action === 'refuse') return;
      plans++;
      check(plan, layout);
    }),
    { numRuns: 2000 },
  );
  assert.ok(plans > 200, `only ${plans} of 2000 were no refusals`);
}

test('partitions never overlap, and lie between the table and its copy', () => {
  forEveryPlan(({ disk, partitions }) => {
    let end = MiB;
    for (const { start, bytes: length } of partitions) {
      assert.ok(start >= end, 'overlaps what is before it');
      assert.ok(length > 0);
      end = start + length;
    }
    // 33 sectors at the end are the GPT's own.
    assert.ok(end <= disk.bytes - 33 * disk.contents.sectorBytes);
  });
});

test('every partition of the layout is there once, large enough', () => {
  forEveryPlan(({ partitions }, layout) => {
    for (const wanted of layout.partitions) {
      const found = partitions.filter(({ name }) => name === wanted.name);
      assert.equal(found.length, 1, wanted.name);
      const { size: asked, keep } = wanted;
      if (typeof asked === 'object' && 'bytes' in asked && !keep)
        assert.ok((found[0]?.bytes ?? 0) >= asked.bytes);
    }
  });
});

test('what is to be kept and holds something is neither moved nor grown nor written, also when the disk is wiped', () => {
  let kept = 0;
  forEveryPlan(({ disk, partitions }, layout) => {
    for (const wanted of layout.partitions.filter(({ keep }) => keep)) {
      const before = disk.contents.partitions.find(({ name }) => name === wanted.name);
      if (before === undefined || before.blank || !isLaidOut(disk)) continue;
      kept++;
      const after = partitions.find(({ name }) => name === wanted.name);
      assert.deepEqual(
        [after?.start, after?.bytes, after?.uuid, after?.change],
        [before.start, before.bytes, before.uuid, 'keep'],
      );
    }
  });
  assert.ok(kept > 50, `only ${kept} were there to be kept`);
});

test('without permission nothing that holds anything is written, but for swap', () => {
  forEveryPlan(({ disk, action, partitions, loses }, layout) => {
    if (layout.wipe === 'always' || layout.wipe === fingerprintOf(disk)) return;
    assert.deepEqual(loses, []);
    assert.ok(isBlank(disk) || isLaidOut(disk), 'a disk of somebody else');
    for (const before of disk.contents.partitions) {
      const after = partitions.find(({ uuid, start }) => uuid === before.uuid && start === before.start);
      assert.ok(after !== undefined && after.bytes >= before.bytes, `${before.name} stays`);
      assert.ok(after.change !== 'new');
      if (after.change === 'format') assert.ok(before.blank || before.fileSystem === 'swap');
    }
    const isOwn = disk.contents.partitions.every(({ name }) => name.startsWith(OWN_PREFIX));
    if (!isOwn) assert.equal(action, 'keep');
  });
});

test('whatever is lost was allowed, and is named', () => {
  forEveryPlan(({ disk, action, loses }, layout) => {
    if (isBlank(disk) || action !== 'lay-out') return;
    assert.ok(layout.wipe === 'always' || layout.wipe === fingerprintOf(disk));
    assert.ok(loses.length > 0);
  });
});

test('planning again on what came of a plan changes nothing, with the same permission', () => {
  forEveryPlan((plan, layout) => {
    const again = planDisks([afterwards(plan)], layout, 0);
    assert.equal(again.action, 'keep', again.action === 'refuse' ? again.reasons.join() : '');
  });
});
