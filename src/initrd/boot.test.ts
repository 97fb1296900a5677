/**
 * The initrd of a real tree, booted in QEMU. Takes the tree's path from BLADEROOT_TEST_TREE: a Debian tree with a kernel,
 * as the story test makes one.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DirectoryFiles } from '../image/files.ts';
import { startPiped } from '../system/run.ts';
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

/** Stands in for the agent: makes slot a, with an init that only says how it was started. */
const AGENT = `
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
const run = (program, ...args) => execFileSync(program, args, { stdio: 'inherit' });
execFileSync('sfdisk', ['-q', '/dev/vda'], { input: 'label: gpt\\nname=bladeroot-a\\n' });
run('mke2fs', '-q', '-t', 'ext4', '/dev/vda1');
run('mount', '-t', 'ext4', '/dev/vda1', '/sysroot');
for (const name of ['dev', 'proc', 'sys', 'run', 'bin', 'sbin']) mkdirSync('/sysroot/' + name);
run('cp', '/bin/busybox', '/sysroot/bin/busybox');
run('ln', '-s', 'busybox', '/sysroot/bin/sh');
const init = '#!/bin/sh\\nb=/bin/busybox\\necho "PROBE init is process $$"\\n$b grep -c -E " /(dev|proc|sys|run) " /proc/mounts\\n$b poweroff -f\\n';
writeFileSync('/sysroot/sbin/init', init, { mode: 0o755 });
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
  async function boot(append: string, typed = 'poweroff -f'): Promise<string> {
    const args =
      `-machine q35,accel=tcg -cpu max -m 1024 -nographic -no-reboot -kernel ${kernel} -initrd ${directory}/initrd ` +
      '-nic user,model=virtio-net-pci,mac=52:54:00:12:34:56 ' +
      `-drive file=${directory}/disk,format=raw,if=virtio -append`;
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

  test('from the network: address, agent, and the root that it laid, then the same slot from the disk', async () => {
    const network = await boot('BOOTIF=01-52-54-00-12-34-56');
    assert.match(network, /bladeroot: network: \w+ has 10\.0\.2\.\d+\/24/);
    assert.match(network, /bladeroot: starting \/sbin\/init on \/dev\/vda1\nPROBE init is process 1\n4\n/);

    const disk = await boot('bladeroot.slot=a');
    assert.match(disk, /bladeroot: booting slot a/);
    assert.match(disk, /PROBE init is process 1\n4\n/);
    assert.doesNotMatch(disk, /network|agent/);
  });

  test('a rescue shell opens where it is asked for', async () => {
    const console = await boot('bladeroot.rescue', 'echo rescue $((6 * 7)); poweroff -f');
    assert.match(console, /STOPPED: bladeroot\.rescue is on the kernel's command line/);
    assert.match(console, /^rescue 42$/m);
  });

  test('a slot that is not there ends in the rescue shell, not in a panic', async () => {
    const console = await boot('bladeroot.slot=b');
    assert.match(console, /STOPPED: no partition is called bladeroot-b/);
  });
});
