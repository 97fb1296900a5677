import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { GuestStep } from './guest.fixture.ts';
import { MirrorMachine } from './user-mode-linux.fixture.ts';

const MiB = 1024 ** 2;
const DISK_BYTES = 2048 * MiB;
const DISKS = { raid: 1, slot: '64MiB' };

/** Of what the agent finds and plans there. */
const inspectedSchema = z.object({
  disks: z.array(
    z.object({
      path: z.string(),
      mirror: z.object({ uuid: z.string(), halves: z.array(z.string()) }).optional(),
    }),
  ),
  plan: z.object({ action: z.string(), mirror: z.object({ lacks: z.string().optional() }) }),
});
const laidOutSchema = z.object({ disk: z.object({ esps: z.array(z.string()), persist: z.string() }) });

const INIT = fileURLToPath(new URL('../../src/initrd/init.sh', import.meta.url));

const MOUNT = 'mount /dev/md127p3 /mnt';
const LOOK = { shell: `${MOUNT} && cat /mnt/file && umount /mnt` };
const WHEN_WHOLE = { shell: 'mdadm --quiet --wait /dev/md127 || true; cat /sys/block/md127/md/degraded' };

/** What /init does to find slot a of a mirror. */
function startByInit(uuid: string): GuestStep {
  const functions = `sed '/^main$/d' '${INIT}' > /run/init.sh; . /run/init.sh`;
  return { shell: `${functions}; mirror=${uuid}; wait_for_partition bladeroot-a && echo "$device"` };
}

function halvesIn({ disks }: z.output<typeof inspectedSchema>): string[] | undefined {
  return disks.find(({ path }) => path === '/dev/md127')?.mirror?.halves;
}

/** What mdadm keeps in a half, the table of the mirror, and the start of its first slot: all that a start writes to. */
async function headOfHalf(path: string): Promise<string> {
  const disk = await open(path);
  const { buffer } = await disk.read(Buffer.alloc(64 * MiB), 0, 64 * MiB, 515 * MiB);
  await disk.close();
  return createHash('sha256').update(buffer).digest('hex');
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

  const before = await headOfHalf(machine.file(1));
  const one = inspectedSchema.parse((await machine.boot([1], ['inspect']))[0]);
  assert.deepEqual([one.plan.action, halvesIn(one)], ['keep', ['/dev/ubda3']]);
  assert.match(one.plan.mirror.lacks ?? '', /no other disk/);
  assert.equal(await headOfHalf(machine.file(1)), before, 'a look writes nothing');

  const [joined, , degraded] = await machine.boot([2, 1], ['lay-out', LOOK, WHEN_WHOLE]);
  assert.deepEqual(laidOutSchema.parse(joined).disk.esps.toSorted(), ['/dev/ubda2', '/dev/ubdb2']);
  assert.equal(degraded, '0\n');
  const uuid = both.disks.find(({ mirror }) => mirror !== undefined)?.mirror?.uuid ?? '';
  const [started, kept] = await machine.boot([2], [startByInit(uuid), LOOK]);
  assert.match(String(started), /starting it with \/dev\/ubda3 alone\n\/dev\/md127p1\n$/);
  assert.equal(kept, 'kept\n');

  // The first disk comes back, with what it had when it was taken out: the newer half counts.
  const [newer, , rejoined, still] = await machine.boot(
    [0, 2],
    [startByInit(uuid), 'lay-out', WHEN_WHOLE, LOOK],
  );
  assert.equal(newer, '/dev/md127p1\n');
  assert.deepEqual([rejoined, still], ['0\n', 'kept\n']);
});
