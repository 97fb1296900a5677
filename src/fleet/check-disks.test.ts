import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetErrors } from './findings.ts';
import { parseFleet } from './load.ts';

const HEAD = 'name: lab\nnetwork: { subnet: 10.77.0.0/24 }\n';
const BLADES = `blades:
  web01: { mac: '52:54:00:77:00:11', address: 10.77.0.11, profile: web }
  web02: { mac: '52:54:00:77:00:12', address: 10.77.0.12, profile: web }
`;

/** What is said of a fleet whose profile web, from line 4 on, has these `disks`, one line each. */
function findings(lines: string, more = ''): string[] {
  const disks = lines
    .trim()
    .split('\n')
    .map((line) => `      ${line.trim()}\n`)
    .join('');
  try {
    parseFleet(`${HEAD}profiles:\n  web:\n    disks:\n${disks}${more}${BLADES}`, []);
    return [];
  } catch (error) {
    if (!(error instanceof FleetErrors)) throw error;
    return error.findings.map(({ line, message }) => `${line}: ${message}`);
  }
}

test('a layout with everything in it is right', () => {
  const disks = `
    use: { model: Samsung, size: 100GiB..2TiB, rotational: false, pick: smallest }
    table: gpt
    slot: 20%
    partitions: { persist: { size: 10% }, swap: { size: 4GiB, fs: swap }, data: { size: rest, fs: xfs, mount: /srv, options: [noatime], label: data, keep: true } }
    wipe: always`;
  assert.deepEqual(findings(disks), []);
});

const WRONG: [what: string, disks: string, finding: string][] = [
  [
    'shares of more than all',
    'slot: 40%\npartitions: { data: { size: 21% } }',
    '7: profiles.web.disks.partitions.data.size: the shares of the disk come to 101 % (40% + 40% + 21%, a slot counts twice); 100 % is all there is',
  ],
  [
    'two labels alike',
    'partitions: { x: { size: 1GiB, label: one }, y: { size: 1GiB, label: one } }',
    '6: profiles.web.disks.partitions.y.label: one is the label of x already',
  ],
  [
    'a mount point twice',
    'partitions: { x: { size: 1GiB, mount: /srv }, y: { size: 1GiB, mount: /srv } }',
    '6: profiles.web.disks.partitions.y.mount: /srv is where x is mounted already',
  ],
  [
    "bladeroot's own mount point",
    'partitions: { x: { size: 1GiB, mount: /persist } }',
    "6: profiles.web.disks.partitions.x.mount: /persist is where one of bladeroot's own is mounted already",
  ],
  [
    'two that take the rest',
    'partitions: { persist: { size: 1GiB }, x: { size: rest }, y: { size: rest } }',
    '6: profiles.web.disks.partitions.y.size: x takes the rest already; give one of the two a size',
  ],
  [
    'a rest that persist has',
    'partitions: { x: { size: rest } }',
    '6: profiles.web.disks.partitions.x.size: persist takes the rest unless it is given a size; write one such as persist: { size: 50GiB }',
  ],
  [
    'no size',
    'partitions: { x: { fs: xfs } }',
    '6: profiles.web.disks.partitions.x: size is missing; write one such as 20GiB, 25% or rest',
  ],
  [
    'a size that is none',
    'partitions: { x: { size: 12GB } }',
    '6: profiles.web.disks.partitions.x.size: "12GB" is not the size of a partition; write one such as 20GiB, a share of the disk such as 25%, or rest',
  ],
  [
    'an unknown file system',
    'partitions: { x: { size: 1GiB, fs: zfs } }',
    '6: profiles.web.disks.partitions.x.fs: "zfs" is not a file system; write one of ext4, xfs, btrfs, vfat, swap',
  ],
  [
    "a name of bladeroot's own",
    'partitions: { esp: { size: 1GiB } }',
    "6: profiles.web.disks.partitions.esp: esp is a partition of bladeroot's own; give this one another name",
  ],
  [
    'another file system for persist',
    'partitions: { persist: { fs: xfs } }',
    "6: profiles.web.disks.partitions.persist.fs: persist is bladeroot's own, ext4 at /persist; only size, options and keep can be said of it",
  ],
  [
    'mounted swap',
    'partitions: { x: { size: 1GiB, fs: swap, mount: /x } }',
    '6: profiles.web.disks.partitions.x.mount: swap is not mounted; take mount away',
  ],
  [
    'options of nothing',
    'partitions: { x: { size: 1GiB, options: [noatime] } }',
    '6: profiles.web.disks.partitions.x.options: it is not mounted, so that nothing has these options; write mount, or take them away',
  ],
  [
    'a label that is too long',
    'partitions: { x: { size: 1GiB, fs: xfs, label: a-long-label-x } }',
    '6: profiles.web.disks.partitions.x.label: a-long-label-x is too long: a label of xfs has 12 characters at the most',
  ],
  [
    'another partition table',
    'table: dos',
    '6: profiles.web.disks.table: "dos" is not a partition table of blades; write gpt: slots are found by names, which others lack',
  ],
  [
    'a range of sizes the wrong way round',
    'use: { size: 2TiB..1TiB }',
    '6: profiles.web.disks.use.size: 2TiB..1TiB has no size in it; write the smaller one first',
  ],
  [
    'a mirror of one disk',
    'raid: 1\nuse: { serial: S1 }',
    '7: profiles.web.disks.use.serial: raid: 1 takes two disks, and this names one; write serial: [S1, …]',
  ],
  [
    'a mirror of a disk with itself',
    'raid: 1\nuse: { path: [/dev/sda, /dev/sda] }',
    '7: profiles.web.disks.use.path: /dev/sda stands there twice; write two disks',
  ],
  [
    'two disks without a mirror',
    'use: { serial: [S1, S2] }',
    '6: profiles.web.disks.use.serial: these are two disks; write raid: 1 for a mirror of them, or one of them',
  ],
  [
    'another kind of RAID',
    'raid: 5',
    '6: profiles.web.disks.raid: 5 is not a RAID level of blades; write 1, a mirror of two disks, or none',
  ],
];
for (const [what, disks, finding] of WRONG) {
  test(`${what}: said once, with its line, though two blades have it`, () => {
    assert.deepEqual(findings(disks), [finding]);
  });
}

test('a mirror of two named disks is right, and a nearer layer takes it away again', () => {
  assert.deepEqual(findings('raid: 1\nuse: { serial: [S1, S2] }'), []);
  assert.deepEqual(findings('raid: none', 'defaults:\n  disks: { raid: 1 }\n'), []);
});

test('what only layers together make wrong is said where the nearest of them says its part', () => {
  const found = findings('slot: 40%', 'defaults:\n  disks: { partitions: { data: { size: 30% } } }\n');
  assert.deepEqual(found, [
    '8: defaults.disks.partitions.data.size: the shares of the disk come to 110 % (40% + 40% + 30%, a slot counts twice); 100 % is all there is',
  ]);
});
