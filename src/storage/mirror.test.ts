import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { z } from 'zod';
import { MirrorMachine } from './mirror.fixture.ts';

const DISK_BYTES = 2 * 1024 ** 3;
const DISKS = { raid: 1, slot: '64MiB' };

/** Of what the agent finds and plans there. */
const inspectedSchema = z.object({
  disks: z.array(
    z.object({ path: z.string(), mirror: z.object({ halves: z.array(z.string()) }).optional() }),
  ),
  plan: z.object({ action: z.string(), mirror: z.object({ lacks: z.string().optional() }) }),
});
const laidOutSchema = z.object({ disk: z.object({ esps: z.array(z.string()), persist: z.string() }) });

const MOUNT = 'mount /dev/md127p3 /mnt';
const LOOK = { shell: `${MOUNT} && cat /mnt/file && umount /mnt` };
const WHEN_WHOLE = { shell: 'mdadm --quiet --wait /dev/md127 || true; cat /sys/block/md127/md/degraded' };

function halvesIn({ disks }: z.output<typeof inspectedSchema>): string[] | undefined {
  return disks.find(({ path }) => path === '/dev/md127')?.mirror?.halves;
}

test('two blank disks become a mirror; half of it is started without being written; a blank disk becomes the other half', async (t) => {
  const machine = await MirrorMachine.create(t, DISKS, [DISK_BYTES, DISK_BYTES, DISK_BYTES]);
  const write = { shell: `${MOUNT} && echo kept > /mnt/file && umount /mnt` };
  const [made, found] = await machine.boot([0, 1], ['lay-out', 'inspect', write]);
  assert.deepEqual(laidOutSchema.parse(made).disk, {
    esps: ['/dev/ubda2', '/dev/ubdb2'],
    persist: '/dev/md127p3',
  });
  const both = inspectedSchema.parse(found);
  assert.deepEqual([both.plan.action, halvesIn(both)], ['keep', ['/dev/ubda3', '/dev/ubdb3']]);

  const digest = async (): Promise<string> =>
    createHash('sha256')
      .update(await readFile(machine.file(1)))
      .digest('hex');
  const before = await digest();
  const one = inspectedSchema.parse((await machine.boot([1], ['inspect']))[0]);
  assert.deepEqual([one.plan.action, halvesIn(one)], ['keep', ['/dev/ubda3']]);
  assert.match(one.plan.mirror.lacks ?? '', /no other disk/);
  assert.equal(await digest(), before, 'a look writes nothing');

  const [joined, , degraded] = await machine.boot([2, 1], ['lay-out', LOOK, WHEN_WHOLE]);
  assert.deepEqual(laidOutSchema.parse(joined).disk.esps.toSorted(), ['/dev/ubda2', '/dev/ubdb2']);
  assert.equal(degraded, '0\n');
  assert.deepEqual(await machine.boot([2], ['inspect', LOOK]).then((said) => said[1]), 'kept\n');

  // The first disk comes back, with what it had when it was taken out: the newer half counts.
  const [, rejoined, kept] = await machine.boot([0, 2], ['lay-out', WHEN_WHOLE, LOOK]);
  assert.deepEqual([rejoined, kept], ['0\n', 'kept\n']);
});
