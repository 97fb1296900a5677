/** OVMF, told its boot order by efibootmgr from a system that runs on it, as blades do it. */
import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { parseBootEntries, type BootEntries } from '../../src/blade/boot-order/entries.ts';
import { LABEL, nextCall } from '../../src/blade/boot-order/plan.ts';
import type { BootOrder } from '../../src/fleet/schema.ts';
import { DirectoryFiles } from '../../src/image/files.ts';
import type { InitrdFile } from '../../src/initrd/cpio.ts';
import { findKernel } from '../../src/initrd/kernel.ts';
import { run } from '../../src/system/run.ts';
import { ESP_PARTUUID, GrubDisk } from './grub-disk.fixture.ts';

const CACHE = fileURLToPath(new URL('../../.lab/cache', import.meta.url));
const ESP = { disk: '/dev/nvme0n1', partition: 2, partuuid: ESP_PARTUUID };
const over = new AbortController();
let disk: GrubDisk;
let programs: InitrdFile[] = [];

before(async () => {
  const { directory } = await goldenTree(CACHE, { signal: over.signal, onLine: () => {} });
  const kernel = await findKernel(new DirectoryFiles(directory));
  disk = await GrubDisk.create(join(directory, kernel.path), over.signal);
  const module = join(directory, 'lib/modules', kernel.version, 'kernel/fs/efivarfs/efivarfs.ko');
  programs = [
    { path: 'efivarfs.ko', mode: 0o644, content: await readFile(module) },
    ...(await withLibraries('/usr/bin/efibootmgr')),
  ];
});

after(async () => {
  over.abort();
  await disk.remove();
});

/** A program of this machine, and the libraries that it loads. */
async function withLibraries(path: string): Promise<InitrdFile[]> {
  const { stdout } = await run('ldd', [path]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, found = '']) => found);
  return await Promise.all(
    [path, ...libraries].map(async (file) => ({
      path: file.slice(1),
      mode: 0o755,
      content: await readFile(file),
    })),
  );
}

/** Starts the system once, has it call efibootmgr, and returns what the firmware has then. */
async function call(args: readonly string[] | undefined): Promise<BootEntries> {
  const words = args?.map((word) => `'${word}'`).join(' ');
  const init = `#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b insmod /efivarfs.ko
$b mount -t efivarfs efivarfs /sys/firmware/efi/efivars
export LD_LIBRARY_PATH=/lib/x86_64-linux-gnu
${words === undefined ? '' : `/usr/bin/efibootmgr --quiet ${words} || echo FAILED`}
/usr/bin/efibootmgr --verbose
echo "STARTED $($b cat /proc/cmdline)"
$b poweroff -f
`;
  await disk.place('a', [...programs, { path: 'init', mode: 0o755, content: Buffer.from(init) }]);
  const { commandLine, console } = await disk.start('uefi', { card: true });
  assert.ok(commandLine !== undefined && !console.includes('FAILED'), console);
  return parseBootEntries(console.replaceAll('\r', ''));
}

/** As blade/boot-order/keep.ts: one call after the other, until nothing is wrong. */
async function keep(found: BootEntries, wish: BootOrder): Promise<{ calls: number; found: BootEntries }> {
  let now = found;
  for (let calls = 0; calls < 6; calls++) {
    const next = nextCall(now, wish, [ESP]);
    if (next === undefined) return { calls, found: now };
    now = await call(next);
  }
  return assert.fail('it does not come to an end');
}

test('the firmware gets one entry, in the wished place; it stays, and is not made again', async () => {
  const fresh = await call(undefined);
  const diskFirst = await keep(fresh, 'disk-first');
  assert.equal(diskFirst.calls, 2);
  const own = diskFirst.found.entries.filter(({ label }) => label === LABEL);
  assert.equal(own.length, 1);
  assert.equal(diskFirst.found.order[0], own[0]?.number);
  // Started once more, by that entry: nothing is to be done.
  const again = await keep(await call(undefined), 'disk-first');
  assert.equal(again.calls, 0);
  const networkFirst = await keep(again.found, 'network-first');
  assert.equal(networkFirst.calls, 1);
  const { console } = await disk.start('uefi', { card: true, cut: /Start PXE|PXE-E|HTTP Boot/ });
  assert.match(console, /Start PXE|PXE-E|HTTP Boot/);
});
