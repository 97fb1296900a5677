import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disksSchema } from '../fleet/disk-fields.ts';
import { layoutOf, type Layout } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { afterwards, blankDisk, usedDisk } from './disks.fixture.ts';
import { fingerprintOf } from './fingerprint.ts';
import { planDisks, type DiskPlan, type Refusal } from './plan.ts';
import { sfdiskScript } from './table.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

function layout(disks: object = {}): Layout {
  return layoutOf(disksSchema.parse(disks));
}

function plan(disks: DiskFacts[], wanted: Layout = layout(), neededBytes = 0): DiskPlan {
  const made = planDisks(disks, wanted, neededBytes);
  if (made.action === 'refuse') throw new Error(made.reasons.join('; '));
  return made;
}

function refusal(disks: DiskFacts[], wanted: Layout = layout(), neededBytes = 0): Refusal {
  const made = planDisks(disks, wanted, neededBytes);
  if (made.action === 'refuse') return made;
  throw new Error(`not refused, but: ${made.action}`);
}

/** Name, start and size in MiB, and what happens. */
function shown({ partitions }: DiskPlan): [string, number, number, string][] {
  return partitions.map(({ name, start, bytes, change }) => [
    name.replace('bladeroot-', ''),
    start / MiB,
    bytes / MiB,
    change,
  ]);
}

const WINDOWS: PartitionFacts = {
  number: 1,
  path: '/dev/sda1',
  name: 'Basic data partition',
  uuid: 'w',
  type: 'windows',
  start: MiB,
  bytes: 10 * GiB,
  fileSystem: 'ntfs',
  blank: false,
};
const windows = (path = '/dev/sda', bytes = 20 * GiB): DiskFacts => usedDisk(path, bytes, [WINDOWS]);

test('a blank disk is laid out: boot areas, two slots of the same size, and the rest for what persists', () => {
  const made = plan([blankDisk('/dev/vda', 20 * GiB)], layout({ slot: '4GiB' }), GiB);
  assert.equal(made.action, 'lay-out');
  assert.deepEqual(shown(made), [
    ['bios', 1, 2, 'new'],
    ['esp', 3, 512, 'new'],
    ['a', 515, 4096, 'new'],
    ['b', 4611, 4096, 'new'],
    ['persist', 8707, 20 * 1024 - 8707 - 1, 'new'],
  ]);
});

/** In MiB. */
function slotOf(bytes: number): number | undefined {
  return shown(plan([blankDisk('/dev/vda', bytes)]))[2]?.[2];
}

test('without a size of its own a slot is a third of the disk in whole MiB, and 32 GiB at the most', () => {
  assert.equal(slotOf(20 * GiB + 12345), Math.floor((20 * 1024 - 2 - 514) / 3));
  assert.equal(slotOf(4000 * GiB), 32 * 1024);
});

test('partitions of their own sizes lie before what takes the rest, in the order in which they are written', () => {
  const partitions = {
    data: { size: 'rest', fs: 'xfs', mount: '/srv' },
    swap: { size: '1GiB', fs: 'swap' },
    persist: { size: '25%' },
  };
  const made = plan([blankDisk('/dev/vda', 40 * GiB)], layout({ slot: '4GiB', partitions }));
  assert.deepEqual(
    shown(made).map(([name, , size]) => [name, size]),
    [
      ['bios', 2],
      ['esp', 512],
      ['a', 4096],
      ['b', 4096],
      ['swap', 1024],
      ['persist', 10239],
      ['data', 40 * 1024 - 2 - 2 - 512 - 8192 - 1024 - 10239],
    ],
  );
});

test('a disk that is laid out is kept, wherever it stands among blank ones', () => {
  const ours = afterwards(plan([blankDisk('/dev/vdb', 20 * GiB)]));
  const made = plan([blankDisk('/dev/vda', 20 * GiB), ours, blankDisk('/dev/vdc', 20 * GiB)]);
  assert.equal(made.action, 'keep');
  assert.equal(made.disk, ours);
});

test('what carries anything is named and left alone; the first blank disk behind it is taken', () => {
  assert.equal(plan([windows(), blankDisk('/dev/sdb', 20 * GiB)]).disk.path, '/dev/sdb');
  const { reasons, ifWiped } = refusal([windows()]);
  assert.deepEqual(reasons, [
    '/dev/sda is not blank, it carries /dev/sda1 "Basic data partition" (ntfs, 10 GiB)',
  ]);
  assert.deepEqual(ifWiped?.plan.loses, ['/dev/sda1 "Basic data partition" (ntfs, 10 GiB)']);
});

test('data of an unknown kind, and file systems without a partition table, are something, too', () => {
  const raw = blankDisk('/dev/sda', 20 * GiB);
  const with_ = (contents: Partial<DiskFacts['contents']>): DiskFacts => ({
    ...raw,
    contents: { ...raw.contents, ...contents },
  });
  assert.match(refusal([with_({ written: true })]).reasons.join(), /it carries data of an unknown kind/);
  assert.match(
    refusal([with_({ signatures: ['LVM2_member'], written: true })]).reasons.join(),
    /it carries LVM2_member/,
  );
  assert.match(
    refusal([with_({ table: 'dos', signatures: ['dos'], written: true })]).reasons.join(),
    /it carries dos without partitions/,
  );
});

test('disks that are read-only, removable or broken are not used, nor could they be wiped', () => {
  const disk = blankDisk('/dev/sda', 20 * GiB);
  for (const contents of [{ readOnly: true }, { removable: true }, { unreadable: 'I/O error' }]) {
    const made = refusal(
      [{ ...disk, contents: { ...disk.contents, ...contents } }],
      layout({ wipe: 'always' }),
    );
    assert.match(made.reasons.join(), /\/dev\/sda (is read-only|is removable|cannot be read \(I\/O error\))/);
    assert.equal(made.ifWiped, undefined);
  }
});

test('a machine without disks, and one whose disks are too small, are told so', () => {
  assert.deepEqual(refusal([]).reasons, ['the machine has no disk that the kernel knows']);
  assert.deepEqual(refusal([blankDisk('/dev/vda', 4 * GiB)], layout({ slot: '2GiB' })).reasons, [
    '/dev/vda has no room: bladeroot-b needs 2 GiB, and 1.5 GiB are free in one piece',
  ]);
  assert.deepEqual(refusal([blankDisk('/dev/vda', 20 * GiB)], layout({ slot: '2GiB' }), 3 * GiB).reasons, [
    '/dev/vda has no room: a slot of it has 2 GiB, and the image needs 3 GiB',
  ]);
});

test('the permission to wipe is for what was seen: with other contents, or once it is wiped, it counts no more', () => {
  const allowed = layout({ wipe: fingerprintOf(windows()) });
  const made = plan([windows()], allowed);
  assert.equal(made.action, 'lay-out');
  assert.deepEqual(made.loses, ['/dev/sda1 "Basic data partition" (ntfs, 10 GiB)']);
  assert.equal(plan([afterwards(made)], allowed).action, 'keep');
  const changed = windows();
  refusal([{ ...changed, contents: { ...changed.contents, digest: 'other' } }], allowed);
  refusal([{ ...changed, serial: 'other' }], allowed);
  assert.equal(plan([windows()], layout({ wipe: 'always' })).action, 'lay-out');
});

const DISKS = [
  blankDisk('/dev/sda', 2000 * GiB, { rotational: true, serial: 'S1', model: 'WDC WD20' }),
  blankDisk('/dev/sdb', 200 * GiB, { serial: 'S2', model: 'Samsung PM883' }),
  blankDisk('/dev/nvme0n1', 500 * GiB, { serial: 'S3', model: 'SAMSUNG PM9A3' }),
];
for (const [use, path] of [
  [{}, '/dev/sda'],
  [{ path: '/dev/sdb' }, '/dev/sdb'],
  [{ serial: 'S3' }, '/dev/nvme0n1'],
  [{ model: 'samsung' }, '/dev/sdb'],
  [{ rotational: false }, '/dev/sdb'],
  [{ size: '300GiB..1TiB' }, '/dev/nvme0n1'],
  [{ size: '..300GiB' }, '/dev/sdb'],
  [{ pick: 'smallest' }, '/dev/sdb'],
  [{ pick: 'largest' }, '/dev/sda'],
  [{ pick: 'first-nvme' }, '/dev/nvme0n1'],
] as const) {
  test(`use: ${JSON.stringify(use)} is ${path}`, () => {
    assert.equal(plan(DISKS, layout({ use })).disk.path, path);
  });
}

test('who says which disk it is does not mean another one that happens to be blank', () => {
  const use = { pick: 'smallest' };
  const made = refusal([windows('/dev/sda', 10 * GiB), blankDisk('/dev/sdb', 20 * GiB)], layout({ use }));
  assert.match(made.reasons.join(), /^\/dev\/sda is not blank/);
  assert.deepEqual(refusal(DISKS, layout({ use: { serial: 'S9' } })).reasons, [
    'none of its 3 disks is what disks.use says',
  ]);
});

test('there is never a second disk with slots: one that is laid out and not meant any more is named', () => {
  const ours = afterwards(plan([blankDisk('/dev/sda', 20 * GiB)]));
  const made = refusal(
    [ours, blankDisk('/dev/sdb', 20 * GiB)],
    layout({ use: { path: '/dev/sdb' }, wipe: 'always' }),
  );
  assert.deepEqual(made.reasons, [
    '/dev/sda is laid out already, and is not what disks.use says; /dev/sdb would be a second one',
  ]);
});

const DATA = { size: '4GiB', fs: 'xfs', mount: '/srv' };
const WITH_DATA = { slot: '2GiB', partitions: { persist: { size: '2GiB' }, data: DATA } };

test('a partition more goes where there is room; all others stay as they are', () => {
  const before = afterwards(plan([blankDisk('/dev/vda', 20 * GiB)], layout(WITH_DATA)));
  const logs = { size: '1GiB', mount: '/var/log' };
  const more = layout({ ...WITH_DATA, partitions: { ...WITH_DATA.partitions, logs } });
  const made = plan([before], more);
  assert.equal(made.action, 'change');
  assert.deepEqual(
    shown(made).map(([name, , , change]) => `${name} ${change}`),
    ['bios keep', 'esp keep', 'a keep', 'b keep', 'data keep', 'persist keep', 'logs new'].toSorted(
      (a, b) => order(made, a) - order(made, b),
    ),
  );
  assert.deepEqual(made.loses, []);
});

function order(made: DiskPlan, text: string): number {
  return made.partitions.findIndex(({ name }) => name === `bladeroot-${text.split(' ')[0]}`);
}

test('what takes the rest grows with its disk; what is to be kept does not', () => {
  const before = afterwards(plan([blankDisk('/dev/vda', 20 * GiB)]));
  const larger = { ...before, bytes: 30 * GiB };
  const made = plan([larger]);
  assert.equal(made.action, 'change');
  assert.deepEqual(
    made.partitions.filter(({ change }) => change !== 'keep').map(({ name, change }) => [name, change]),
    [['bladeroot-persist', 'grow']],
  );
  assert.equal(plan([afterwards(made)]).action, 'keep');
  assert.equal(plan([larger], layout({ partitions: { persist: { keep: true } } })).action, 'keep');
});

test('what cannot be had without a loss is refused, and what would be lost is named', () => {
  const before = afterwards(plan([blankDisk('/dev/vda', 20 * GiB)], layout(WITH_DATA)));
  const larger = refusal([before], layout({ ...WITH_DATA, slot: '3GiB' }));
  assert.deepEqual(larger.reasons, [
    '/dev/vda has no room: bladeroot-a has 2 GiB, is to have 3 GiB, and has no room behind it',
  ]);
  const ext4 = { ...WITH_DATA.partitions, data: { ...DATA, fs: 'ext4' } };
  const other = refusal([before], layout({ ...WITH_DATA, partitions: ext4 }));
  assert.deepEqual(other.reasons, ['/dev/vda would lose bladeroot-data (xfs, 4 GiB), which is to be ext4']);
  assert.deepEqual(
    other.ifWiped?.plan.loses.filter((thing) => /data|persist/.test(thing)),
    ['bladeroot-data (xfs, 4 GiB)'],
  );
});

test('a wipe that is allowed leaves alone what is to be kept, and is refused where that is in the way', () => {
  const partitions = { ...WITH_DATA.partitions, data: { ...DATA, keep: true } };
  const before = afterwards(plan([blankDisk('/dev/vda', 20 * GiB)], layout({ ...WITH_DATA, partitions })));
  const data = before.contents.partitions.find(({ name }) => name === 'bladeroot-data');
  const made = plan([before], layout({ slot: '3GiB', partitions, wipe: 'always' }));
  assert.equal(made.action, 'lay-out');
  const kept = made.partitions.find(({ name }) => name === 'bladeroot-data');
  assert.deepEqual(
    [kept?.start, kept?.bytes, kept?.change, kept?.uuid],
    [data?.start, data?.bytes, 'keep', data?.uuid],
  );
  const tooMuch = refusal([before], layout({ slot: '9GiB', partitions, wipe: 'always' }));
  assert.match(tooMuch.reasons.join('; '), /if it were wiped, has no room: bladeroot-b needs 9 GiB/);
  const ext4 = { ...partitions, data: { ...DATA, fs: 'ext4', keep: true } };
  assert.match(
    refusal([before], layout({ slot: '3GiB', partitions: ext4, wipe: 'always' })).reasons.join('; '),
    /has bladeroot-data \(xfs, 4 GiB\) to keep, which is to be ext4/,
  );
});

test('a disk of bladeroot with a partition of somebody else is kept, and not changed', () => {
  const ours = afterwards(plan([blankDisk('/dev/sda', 40 * GiB)], layout(WITH_DATA)));
  const foreign = { ...WINDOWS, number: 9, path: '/dev/sda9', start: 30 * GiB, bytes: GiB };
  const mixed = {
    ...ours,
    contents: { ...ours.contents, partitions: [...ours.contents.partitions, foreign] },
  };
  assert.equal(plan([mixed], layout(WITH_DATA)).action, 'keep');
  const more = { ...WITH_DATA, partitions: { ...WITH_DATA.partitions, logs: { size: '1GiB' } } };
  assert.deepEqual(refusal([mixed], layout(more)).reasons, [
    '/dev/sda is to be changed, and carries what bladeroot did not lay out: /dev/sda9 "Basic data partition" (ntfs, 1 GiB)',
  ]);
});

function changes(made: DiskPlan): unknown {
  return made.partitions.filter(({ change }) => change !== 'keep').map(({ name, change }) => [name, change]);
}

test('file systems that an interrupted run did not make are made; swap needs no permission to be another', () => {
  const swap = { ...WITH_DATA.partitions, data: { size: '4GiB', fs: 'swap' } };
  const before = afterwards(
    plan([blankDisk('/dev/vda', 20 * GiB)], layout({ ...WITH_DATA, partitions: swap })),
  );
  assert.deepEqual(changes(plan([before], layout(WITH_DATA))), [['bladeroot-data', 'format']]);
  const cut = before.contents.partitions.map(({ fileSystem: _lost, ...one }) => ({ ...one, blank: true }));
  const made = plan([{ ...before, contents: { ...before.contents, partitions: cut } }], layout(WITH_DATA));
  assert.deepEqual(
    changes(made),
    [
      ['bladeroot-esp', 'format'],
      ['bladeroot-data', 'format'],
      ['bladeroot-persist', 'format'],
    ].toSorted((a, b) => order(made, a[0]?.slice(10) ?? '') - order(made, b[0]?.slice(10) ?? '')),
  );
});

test('the script for sfdisk has all partitions in sectors, with number and PARTUUID of those that stay', () => {
  const made = plan([blankDisk('/dev/vda', 20 * GiB)], layout({ slot: '2GiB' }));
  assert.match(
    sfdiskScript(made),
    /^label: gpt\nunit: sectors\n\np1 : start=2048, size=4096, type=21686148-6449-6E6F-744E-656564454649, name="bladeroot-bios"\n/,
  );
  const before = afterwards(made);
  const larger = plan([{ ...before, bytes: 30 * GiB }], layout({ slot: '2GiB' }));
  assert.match(sfdiskScript(larger), /p104 : .*, uuid=bladeroot-persist-\d+, name="bladeroot-persist"\n/);
});
