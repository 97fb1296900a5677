import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disksSchema } from '../fleet/disk-fields.ts';
import { layoutOf } from '../fleet/layout.ts';
import { afterwards, blankDisk } from './disks.fixture.ts';
import { fstabOf } from './fstab.ts';
import { planDisks } from './plan.ts';

test('of a mirror, no ESP is mounted by fstab: either may be gone', () => {
  const layout = layoutOf(disksSchema.parse({ raid: 1 }));
  const disks = ['/dev/sda', '/dev/sdb'].map((path) => blankDisk(path, 20 * 1024 ** 3));
  const plan = planDisks(disks, layout, 0);
  assert.ok(plan.action !== 'refuse');
  const mounts = fstabOf(afterwards(plan).contents.partitions, layout, 'a').map(([, where]) => where);
  assert.deepEqual(mounts, ['/', '/persist', '/var/lib/bladeroot']);
});

test('everything is mounted by PARTUUID, with its options, and what is mounted within another after it', () => {
  const partitions = {
    mail: { size: '1GiB', mount: '/srv/mail', options: ['noatime', 'nofail'] },
    data: { size: '1GiB', fs: 'xfs', mount: '/srv' },
    fat: { size: '1GiB', fs: 'vfat', mount: '/srv/fat' },
    swap: { size: '1GiB', fs: 'swap' },
    raw: { size: '1GiB' },
    persist: { size: '2GiB', options: ['noatime'] },
  };
  const layout = layoutOf(disksSchema.parse({ slot: '1GiB', partitions }));
  const plan = planDisks([blankDisk('/dev/vda', 20 * 1024 ** 3)], layout, 0);
  assert.ok(plan.action !== 'refuse');
  const found = afterwards(plan).contents.partitions;
  const uuid = (name: string): string =>
    `PARTUUID=${found.find((one) => one.name === `bladeroot-${name}`)?.uuid}`;
  assert.deepEqual(fstabOf(found, layout, 'b'), [
    [uuid('b'), '/', 'ext4', 'errors=remount-ro', '0 1'],
    [uuid('esp'), '/boot/efi', 'vfat', 'umask=0077', '0 2'],
    [uuid('persist'), '/persist', 'ext4', 'noatime', '0 2'],
    ['/persist/bladeroot', '/var/lib/bladeroot', 'none', 'bind', '0 0'],
    [uuid('swap'), 'none', 'swap', 'sw', '0 0'],
    [uuid('data'), '/srv', 'xfs', 'defaults', '0 0'],
    [uuid('mail'), '/srv/mail', 'ext4', 'noatime,nofail', '0 2'],
    [uuid('fat'), '/srv/fat', 'vfat', 'defaults', '0 2'],
  ]);
});
