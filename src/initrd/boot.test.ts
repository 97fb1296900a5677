/**
 * The initrd of a real tree, booted in QEMU. Takes the tree's path from BLADEROOT_TEST_TREE: a Debian tree with a kernel,
 * as the story test makes one.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DirectoryFiles } from '../image/files.ts';
import { run, startPiped } from '../system/run.ts';
import { buildInitrd } from './build.ts';
import type { InitrdFile } from './cpio.ts';
import { findKernel } from './kernel.ts';
import { APPLETS } from './tools.ts';

const tree = process.env['BLADEROOT_TEST_TREE'] ?? '';

const PROBE = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
for name in ${APPLETS.join(' ')}; do busybox --list | grep -qxF "$name" || echo "PROBE lacks $name"; done
/sbin/modprobe --version; /sbin/modprobe -a virtio_net ext4 vfat && echo "PROBE modules loaded"
for tool in 'sbin/sfdisk --version' 'sbin/mke2fs -V' 'sbin/mkfs.vfat --help' 'bin/tar --version' 'bin/lsblk --version'; do
  /usr/$tool 2>&1 | head -n 1
done
/opt/bladeroot/bin/node -e 'console.log("PROBE node", process.version)'
poweroff -f
`;

/** Stands in for the agent: makes two slots, each with an init that only says which it is, how and when it was started. */
const AGENT = `
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
const run = (program, ...args) => execFileSync(program, args, { stdio: 'inherit' });
const table = 'label: gpt\\nname=bladeroot-a, size=100MiB\\nname=bladeroot-b, size=100MiB\\n';
execFileSync('sfdisk', ['-q', '/dev/vda'], { input: table });
for (const slot of ['b', 'a']) {
  const device = '/dev/vda' + (slot === 'a' ? 1 : 2);
  run('mke2fs', '-q', '-t', 'ext4', device);
  run('mount', '-t', 'ext4', device, '/sysroot');
  for (const name of ['dev', 'proc', 'sys', 'run', 'bin', 'sbin']) mkdirSync('/sysroot/' + name);
  run('cp', '/bin/busybox', '/sysroot/bin/busybox');
  run('ln', '-s', 'busybox', '/sysroot/bin/sh');
  const init = [
    '#!/bin/sh',
    'b=/bin/busybox',
    'read -r now rest < /proc/uptime',
    'echo "PROBE slot ' + slot + ' is process $$ at $now"',
    '$b dmesg | $b grep "Run /init"',
    '$b grep -c -E " /(dev|proc|sys|run) " /proc/mounts',
    '$b poweroff -f',
  ];
  writeFileSync('/sysroot/sbin/init', init.join('\\n'), { mode: 0o755 });
  if (slot === 'b') run('umount', '/sysroot');
}
mkdirSync('/run/bladeroot', { recursive: true });
writeFileSync('/run/bladeroot/switch-root', 'DEVICE=/dev/vda1\\nINIT=/sbin/init\\n');
`;

const here = (name: string): Promise<Buffer> => readFile(new URL(name, import.meta.url));
const program = (path: string, content: Buffer): InitrdFile => ({ path, mode: 0o755, content });

suite('the initrd of a real tree', { skip: tree === '' && 'BLADEROOT_TEST_TREE names no tree' }, () => {
  let directory = '';
  let kernel = '';

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bladeroot-boot-'));
    const image = new DirectoryFiles(tree);
    const found = await findKernel(image);
    kernel = join(tree, found.path);
    const extra = [
      program('init', await here('init.sh')),
      program('probe', Buffer.from(PROBE)),
      program('etc/udhcpc.script', await here('udhcpc.sh')),
      program('opt/bladeroot/bin/node', await readFile(process.execPath)),
      program('opt/bladeroot/lib/agent.mjs', Buffer.from(AGENT)),
    ];
    const { bytes } = await buildInitrd({ image, kernel: found, extra, level: 3 });
    await writeFile(join(directory, 'initrd'), bytes);
    await writeFile(join(directory, 'disk'), '');
    await truncate(join(directory, 'disk'), 256 * 2 ** 20);
  });

  after(() => rm(directory, { recursive: true, force: true }));

  /** Boots until the machine is switched off, which the rescue shell is told to do, and returns its console. */
  async function boot(
    append: string,
    { typed = 'poweroff -f', disks = ['disk'] }: { typed?: string; disks?: string[] } = {},
  ): Promise<string> {
    const args =
      `-machine q35,accel=tcg -cpu max -m 1024 -nographic -no-reboot -kernel ${kernel} -initrd ${directory}/initrd ` +
      '-nic user,model=virtio-net-pci,mac=52:54:00:12:34:56 ' +
      `${disks.map((disk) => `-drive file=${directory}/${disk},format=raw,if=virtio`).join(' ')} -append`;
    const qemu = startPiped('qemu-system-x86_64', [...args.split(' '), `console=ttyS0 quiet ${append}`], {
      signal: AbortSignal.timeout(180_000),
    });
    let console = '';
    let answered = false;
    qemu.stdout.setEncoding('utf8').on('data', (text: string) => {
      console += text;
      if (answered || !console.includes('/ # ')) return;
      answered = true;
      qemu.stdin.write(`${typed}\n`);
    });
    await qemu.done.catch((error: unknown) => assert.fail(`${String(error)}; the console said:\n${console}`));
    return console.replaceAll('\r', '');
  }

  test('its tools, modules and Node work', async () => {
    const console = await boot('rdinit=/probe');
    assert.doesNotMatch(console, /PROBE lacks/);
    assert.match(console, /kmod version/);
    assert.match(console, /PROBE modules loaded/);
    assert.match(console, /sfdisk from util-linux/);
    assert.match(console, /mke2fs \d/);
    assert.match(console, /tar \(GNU tar\)/);
    assert.match(console, /lsblk from util-linux/);
    assert.match(console, new RegExp(`PROBE node ${process.version}`));
  });

  test('from the network: address, agent, and the root that it laid', async () => {
    const network = await boot('BOOTIF=01-52-54-00-12-34-56');
    assert.match(network, /bladeroot: network: \w+ has 10\.0\.2\.\d+\/24/);
    assert.match(
      network,
      /bladeroot: starting \/sbin\/init on \/dev\/vda1\nPROBE slot a is process 1 at .*\n.*\n4\n/,
    );
  });

  /** The PARTUUID of a slot of a disk. */
  async function partition(disk: string, slot: 'a' | 'b'): Promise<string> {
    const { stdout } = await run('sfdisk', ['--part-uuid', join(directory, disk), slot === 'a' ? '1' : '2']);
    return stdout.trim().toLowerCase();
  }

  async function damage(disk: string, slot: 'a' | 'b'): Promise<void> {
    const file = await open(join(directory, disk), 'r+');
    // All copies of the superblock that e2fsck could fall back on lie behind the first one, in the first 64 MiB.
    await file.write(Buffer.alloc(64 * 2 ** 20, 0xff), 0, 64 * 2 ** 20, (slot === 'a' ? 1 : 101) * 2 ** 20);
    await file.close();
  }

  test('the slot that is named is started from the disk without Node and network, within 2 s of /init', async () => {
    for (const slot of ['a', 'b'] as const) {
      const console = await boot(`bladeroot.slot=${slot} bladeroot.part=${await partition('disk', slot)}`);
      assert.match(console, new RegExp(`PROBE slot ${slot} is process 1 at .*\\n.*\\n4\\n`));
      assert.doesNotMatch(console, /network|agent|instead/);
      const began = Number(/\[ *([0-9.]+)\] Run \/init/.exec(console)?.[1]);
      const ended = Number(/PROBE slot .* at ([0-9.]+)/.exec(console)?.[1]);
      assert.ok(ended - began < 2, `from ${began} to ${ended} s`);
    }
  });

  test('of two disks with the same names, the slot is taken from the one that is meant', async () => {
    await copyFile(join(directory, 'disk'), join(directory, 'twin'));
    const other = '11111111-2222-4333-8444-555555555555';
    await run('sfdisk', ['--quiet', '--part-uuid', join(directory, 'twin'), '1', other]);
    for (const disks of [
      ['disk', 'twin'],
      ['twin', 'disk'],
    ]) {
      const own = await boot(`bladeroot.slot=a bladeroot.part=${await partition('disk', 'a')}`, { disks });
      assert.match(own, disks[0] === 'disk' ? /init on \/dev\/vda1/ : /init on \/dev\/vdb1/);
    }
  });

  test('a slot that cannot be mounted makes way for the other; one on trial for a restart', async () => {
    await copyFile(join(directory, 'disk'), join(directory, 'broken'));
    await damage('broken', 'a');
    const disks = ['broken'];
    const part = await partition('broken', 'a');
    const console = await boot(`bladeroot.slot=a bladeroot.part=${part}`, { disks });
    assert.match(console, /booting slot b instead/);
    assert.match(console, /PROBE slot b is process 1/);
    const trial = await boot(`bladeroot.slot=a bladeroot.part=${part} bladeroot.try`, { disks });
    assert.match(trial, /only on trial/);
    assert.doesNotMatch(trial, /PROBE/);
    await damage('broken', 'b');
    const neither = await boot(`bladeroot.slot=a bladeroot.part=${part}`, { disks });
    assert.match(neither, /STOPPED: slot a: .*; slot b: /);
  });

  test('a rescue shell opens where it is asked for', async () => {
    const console = await boot('bladeroot.rescue', { typed: 'echo rescue $((6 * 7)); poweroff -f' });
    assert.match(console, /STOPPED: bladeroot\.rescue is on the kernel's command line/);
    assert.match(console, /^rescue 42$/m);
  });
});
