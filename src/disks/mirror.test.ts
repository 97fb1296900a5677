import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { disksSchema } from '../fleet/disk-fields.ts';
import { layoutOf, type Layout } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';
import { afterwards, blankDisk, mirrorAfterwards, usedDisk, withoutDisks } from './disks.fixture.ts';
import { fingerprintOf } from './fingerprint.ts';
import { DATA_OFFSET } from './mirror.ts';
import { planDisks, type DiskPlan, type Refusal } from './plan.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const A = blankDisk('/dev/sda', 40 * GiB, { serial: 'A' });
const B = blankDisk('/dev/sdb', 50 * GiB, { serial: 'B' });
const C = blankDisk('/dev/sdc', 40 * GiB, { serial: 'C' });
/** One that carries what bladeroot did not lay out. */
const USED: DiskFacts = {
  ...usedDisk('/dev/sdd', 60 * GiB, [
    {
      number: 1,
      path: '/dev/sdd1',
      name: 'home',
      uuid: 'home',
      type: 'linux',
      start: MiB,
      bytes: GiB,
      fileSystem: 'ext4',
      blank: false,
    },
  ]),
  serial: 'D',
};

function layout(disks: object = {}): Layout {
  return layoutOf(disksSchema.parse({ raid: 1, slot: '4GiB', ...disks }));
}

function plan(disks: readonly DiskFacts[], wanted = layout(), neededBytes = GiB): DiskPlan {
  const made = planDisks(disks, wanted, neededBytes);
  if (made.action === 'refuse') throw new Error(made.reasons.join('; '));
  return made;
}

function refusal(disks: readonly DiskFacts[], wanted = layout()): Refusal {
  const made = planDisks(disks, wanted, GiB);
  if (made.action === 'refuse') return made;
  throw new Error(`not refused, but: ${made.action}`);
}

/** Path of each half's disk, what happens to it, and whether it is taken into the mirror. */
function halvesOf({ mirror }: DiskPlan): [string, string, boolean][] | undefined {
  return mirror?.halves.map(({ disk, action, joins }) => [disk.path, action, joins]);
}

const isGone =
  (...paths: string[]) =>
  (disk: DiskFacts): boolean =>
    paths.includes(disk.path);

test('two blank disks get boot areas and a half each, and the mirror the slots and all the rest', () => {
  const made = plan([A, B]);
  assert.deepEqual([made.action, made.mirror?.isNew, made.disk.path], ['lay-out', true, '/dev/md127']);
  const names = made.mirror?.halves.map(({ partitions }) => partitions.map(({ name }) => name));
  const half = ['bladeroot-bios', 'bladeroot-esp', 'bladeroot-raid'];
  assert.deepEqual(names, [half, half]);
  assert.deepEqual(
    made.partitions.map(({ name }) => name),
    ['bladeroot-a', 'bladeroot-b', 'bladeroot-persist'],
  );
  const smaller = Math.min(...(made.mirror?.halves.map(({ partitions }) => partitions[2]?.bytes ?? 0) ?? []));
  assert.equal(made.disk.bytes, smaller - DATA_OFFSET - 64 * MiB);
  assert.deepEqual(plan(mirrorAfterwards(made)).action, 'keep');
});

test('one disk is too few to begin with, and says which one is there', () => {
  assert.deepEqual(refusal([A, USED], layout({ use: { size: '..45GiB' } })).reasons, [
    'disks.raid: 1 begins with two disks, and of the 2 here only /dev/sda is what disks.use says',
  ]);
  assert.match(refusal([]).reasons.join(), /of the 0 here none is/);
});

/** Of three blank disks. */
function chosen(use: object): string[] {
  return halvesOf(plan([A, B, C], layout({ use })))?.map(([path]) => path) ?? [];
}

test('which two: by serial or path, and by pick the two of that kind', () => {
  assert.deepEqual(chosen({}), ['/dev/sda', '/dev/sdb']);
  assert.deepEqual(chosen({ serial: ['C', 'B'] }), ['/dev/sdb', '/dev/sdc']);
  assert.deepEqual(chosen({ path: ['/dev/sda', '/dev/sdc'] }), ['/dev/sda', '/dev/sdc']);
  assert.deepEqual(chosen({ pick: 'smallest' }), ['/dev/sda', '/dev/sdc']);
  assert.deepEqual(chosen({ pick: 'largest' }), ['/dev/sdb', '/dev/sda']);
});

test('a disk that carries something is not touched; the permission names all that would be lost', () => {
  const refused = refusal([A, USED]);
  assert.match(refused.reasons.join(), /^\/dev\/sdd is not blank, it carries/);
  assert.deepEqual(refused.ifWiped?.plan.loses, ['/dev/sdd: /dev/sdd1 "home" (ext4, 1 GiB)']);
  const wipe = fingerprintOf(USED);
  assert.equal(refused.ifWiped?.fingerprint, wipe);
  assert.deepEqual(halvesOf(plan([A, USED], layout({ wipe }))), [
    ['/dev/sda', 'lay-out', false],
    ['/dev/sdd', 'lay-out', false],
  ]);
  const both = refusal([USED, { ...USED, path: '/dev/sde', serial: 'E' }], layout({ wipe }));
  assert.notEqual(both.ifWiped?.fingerprint, wipe);
  assert.equal(both.reasons.length, 2);
});

test('with one disk gone it goes on with the other; a blank one takes the place, and one that was a half before it', () => {
  const whole = mirrorAfterwards(plan([A, B]));
  const alone = withoutDisks(whole, isGone('/dev/sda'));
  const degraded = plan(alone);
  assert.deepEqual([degraded.action, halvesOf(degraded)], ['keep', [['/dev/sdb', 'keep', false]]]);
  assert.equal(degraded.mirror?.lacks, 'there is no other disk that is what disks.use says');
  const mended = plan([C, ...alone]);
  assert.deepEqual(halvesOf(mended), [
    ['/dev/sdb', 'keep', false],
    ['/dev/sdc', 'lay-out', true],
  ]);
  assert.deepEqual([mended.action, mended.mirror?.lacks, mended.loses], ['change', undefined, []]);
  assert.deepEqual(
    mended.partitions.map(({ change }) => change),
    ['keep', 'keep', 'keep'],
  );
  const [before] = whole;
  assert.ok(before !== undefined);
  const returned = plan([C, before, ...alone]);
  assert.deepEqual(halvesOf(returned)?.at(-1), ['/dev/sda', 'keep', true]);
});

test('what cannot be the other half is left alone, says why, and is wiped by its fingerprint alone', () => {
  const alone = withoutDisks(mirrorAfterwards(plan([A, B])), isGone('/dev/sda'));
  const small = plan([blankDisk('/dev/sdc', 30 * GiB), ...alone]);
  assert.match(small.mirror?.lacks ?? '', /^\/dev\/sdc is too small: a half of it would have/);
  for (const wipe of ['ask', 'always']) {
    const degraded = plan([USED, ...alone], layout({ wipe }));
    assert.match(degraded.mirror?.lacks ?? '', /^\/dev\/sdd is not blank, it carries/);
    assert.deepEqual(halvesOf(degraded), [['/dev/sdb', 'keep', false]]);
    assert.equal(degraded.ifWiped?.fingerprint, fingerprintOf(USED));
  }
  const allowed = plan([USED, ...alone], layout({ wipe: fingerprintOf(USED) }));
  assert.deepEqual(halvesOf(allowed)?.at(-1), ['/dev/sdd', 'lay-out', true]);
  assert.deepEqual(allowed.loses, ['/dev/sdd: /dev/sdd1 "home" (ext4, 1 GiB)']);
});

test('there is never a second one of what a blade has once: a disk without a mirror, another mirror', () => {
  const plain = afterwards(plan([B], layoutOf(disksSchema.parse({ slot: '4GiB' }))));
  const whole = mirrorAfterwards(plan([A, C]));
  assert.match(refusal([...whole, plain]).reasons.join(), /\/dev\/sdb is laid out without a mirror/);
  assert.match(
    refusal(whole, layout({ raid: 'none' })).reasons.join(),
    /\/dev\/sda and \/dev\/sdc are halves of a mirror, and disks\.raid does not say 1/,
  );
  const [mirror] = whole.slice(-1);
  assert.ok(mirror?.mirror !== undefined);
  const second = { ...mirror, path: '/dev/md126', mirror: { uuid: 'other', halves: ['/dev/sdx3'] } };
  assert.match(refusal([...whole, second]).reasons.join(), /it can have one/);
  const [half] = whole;
  assert.ok(half !== undefined);
  assert.match(refusal([half, B]).reasons.join(), /half of another mirror, or of one that cannot be started/);
  // With a blank disk beside it, it is one of the two all the same, or what it has would be there twice.
  const asked = refusal([A, C, plain]);
  assert.match(asked.reasons.join(), /^\/dev\/sdb is not blank/);
  const kept = layout({ partitions: { persist: { keep: true } } });
  assert.match(refusal([A, C, plain], kept).reasons.join(), /has bladeroot-persist .* to keep/);
});

test('the layout of a mirror changes as that of a disk does', () => {
  const whole = mirrorAfterwards(plan([A, B], layout({ partitions: { persist: { size: '10GiB' } } })));
  const wanted = layout({ partitions: { persist: { size: '10GiB' }, data: { size: 'rest', fs: 'xfs' } } });
  const changed = plan(whole, wanted);
  assert.deepEqual([changed.action, changed.partitions.at(-1)?.change], ['change', 'new']);
  assert.deepEqual(
    halvesOf(changed)?.map(([, action]) => action),
    ['keep', 'keep'],
  );
});

const size = fc.integer({ min: 1024, max: 64 * 1024 }).map((mebi) => mebi * MiB);

test('whatever disks there are: what carries something is not written without a permission, and a plan that is carried out is kept', () => {
  const disk = fc
    .tuple(size, fc.boolean(), fc.constantFrom('/dev/sda', '/dev/sdb', '/dev/sdc', '/dev/sdd'))
    .map(([bytes, isBlank, path]) =>
      isBlank
        ? blankDisk(path, bytes, { serial: path })
        : { ...USED, path, bytes: Math.max(bytes, 2 * GiB), serial: path },
    );
  const machines = fc.uniqueArray(disk, { minLength: 2, maxLength: 4, selector: ({ path }) => path });
  let plans = 0;
  fc.assert(
    fc.property(
      machines,
      fc.constantFrom('smallest', 'largest', undefined),
      fc.nat(3),
      (disks, pick, out) => {
        const wanted = layout({ slot: '1GiB', ...(pick === undefined ? {} : { use: { pick } }) });
        const made = planDisks(disks, wanted, 0);
        if (made.action === 'refuse') return;
        plans++;
        assert.deepEqual(made.loses, []);
        for (const { disk: half } of made.mirror?.halves ?? []) assert.equal(half.contents.written, false);
        const found = mirrorAfterwards(made);
        const beside = disks.filter(({ path }) => !found.some((one) => one.path === path));
        assert.equal(plan([...beside, ...found], wanted, 0).action, 'keep');
        const gone = found[out % 2]?.path ?? '';
        const alone = plan(withoutDisks(found, isGone(gone)), wanted, 0);
        assert.equal(alone.action, 'keep');
        assert.equal(alone.mirror?.halves.length, 1);
      },
    ),
  );
  assert.ok(plans > 20, `${plans} plans`);
});
