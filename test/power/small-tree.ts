/**
 * A tree for blades that are installed and updated many times over: Debian's packages with all taken away that such a blade
 * does not start. It has everything that makes it a blade: kernel, GRUB, the tools of the initrd, OpenRC.
 */
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../src/system/run.ts';
import { writeFileAtomic } from '../../src/system/write-file.ts';
import { inNamespaces } from '../../src/tree/namespaces.ts';

const SUITE = 'bookworm';

const PACKAGES = [
  'linux-image-cloud-amd64',
  'sysvinit-core',
  'openrc',
  'udev',
  'ifupdown',
  'iproute2',
  // What the initrd is made of, and the boot loader: as in src/tree/debian.ts, without a server for SSH.
  'busybox-static',
  'kmod',
  'fdisk',
  'e2fsprogs',
  'dosfstools',
  'tar',
  'libstdc++6',
  'grub-pc-bin',
  'grub-efi-amd64-bin',
  'grub2-common',
];

/** Patterns of the shell, in the tree. What is left is a seventh. */
const UNUSED = [
  'usr/share/{doc,man,info,locale,i18n,zoneinfo,perl*,grub,pam*,initramfs-tools,bash-completion,debconf}',
  'usr/lib/x86_64-linux-gnu/{perl*,gconv,libperl.so*,libdb-5*}',
  'usr/bin/{perl*,apt*,dpkg*,deb*,grub-mkrescue,grub-fstest,openssl}',
  'usr/lib/{apt,dpkg,init,initramfs-tools,systemd} usr/lib/udev/hwdb*',
  // But for what tells partitions by their names.
  'usr/lib/udev/rules.d/{[7-9]*,6[1-9]*,60-[!bp]*,60-persistent-[!s]*}',
  'usr/lib/grub/x86_64-efi/monolithic usr/lib/grub/*/*.module',
  'usr/sbin/grub-macbless var/lib/{apt,dpkg,systemd,ucf} var/cache/* boot/System.map* boot/config*',
  'etc/init.d/* etc/runlevels/*/* etc/network/if-*.d/*',
];

/** Of the kernel's drivers: a disk and a network card of QEMU's, and the file systems of a blade. */
const DRIVERS =
  'virtio|/ext4|jbd2|mbcache|crc16|crc32c|/fat/|vfat|nls|failover|libata|scsi_mod|sd_mod|rng-core';

const SHRINK = `set -euo pipefail
shopt -s nullglob
cd "$1"
rm -rf ${UNUSED.join(' ')}
modules=$(echo usr/lib/modules/*)
find "$modules/kernel" -name '*.ko' | grep -vE '${DRIVERS}' | xargs rm -f
depmod -b . "$(basename "$modules")"
`;

/** A shell on the console, without echo, so that nothing is there that was not said by the blade. */
const CONSOLE = `#!/bin/sh
exec </dev/ttyS0 >/dev/ttyS0 2>&1
busybox stty -echo
PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PS1= exec sh
`;

const INITTAB = `id:3:initdefault:
si::sysinit:/sbin/openrc sysinit
rc::bootwait:/sbin/openrc boot
l3:3:wait:/sbin/openrc default
l0:0:wait:/sbin/openrc shutdown
h0:0:wait:/sbin/halt -d -f -i -p
l6:6:wait:/sbin/openrc reboot
r6:6:wait:/sbin/reboot -d -f -i
c0:3:respawn:/usr/local/sbin/console
`;

const MOUNTS = `#!/sbin/openrc-run
description="file systems of fstab"
depend() {
	provide localmount
	before *
}
start() {
	mount -o remount,rw /
	systemd-udevd --daemon
	udevadm trigger --action=add --subsystem-match=block
	udevadm settle
	fsck -A -R -T -a
	mount -a && hostname -F /etc/hostname
}
stop() {
	sync
	umount -a -r -t ext4,vfat
	mount -o remount,ro /
}
`;

const NETWORKING = `#!/sbin/openrc-run
description="network, as /etc/network/interfaces has it"
depend() {
	need localmount
	provide net
}
start() {
	mkdir -p /run/network
	ifup -a
}
`;

const FILES: Record<string, { text: string; mode: number }> = {
  'etc/inittab': { text: INITTAB, mode: 0o644 },
  'etc/init.d/mounts': { text: MOUNTS, mode: 0o755 },
  'etc/init.d/networking': { text: NETWORKING, mode: 0o755 },
  'usr/local/sbin/console': { text: CONSOLE, mode: 0o755 },
};

const RUNLEVELS = { boot: ['mounts'], default: ['networking'] };

/** @returns the tree's directory, which later runs find finished */
export async function smallTree(cacheDirectory: string): Promise<string> {
  const directory = join(cacheDirectory, 'small');
  const stamp = join(cacheDirectory, 'small.json');
  const wanted = JSON.stringify({ SUITE, PACKAGES, SHRINK, FILES, RUNLEVELS });
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return directory;
  await rm(directory, { recursive: true, force: true });
  const aside = `${directory}.new`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(cacheDirectory, { recursive: true });
  const debian = ['mmdebstrap', '--variant=essential', `--include=${PACKAGES.join(',')}`, SUITE, aside];
  await run(...inNamespaces(debian), { env: { INITRD: 'No' } });
  await run('bash', ['-c', SHRINK, 'shrink', aside]);
  for (const [path, { text, mode }] of Object.entries(FILES)) {
    await mkdir(dirname(join(aside, path)), { recursive: true });
    await writeFile(join(aside, path), text);
    await chmod(join(aside, path), mode);
  }
  for (const [runlevel, services] of Object.entries(RUNLEVELS)) {
    for (const service of services) {
      await symlink(`/etc/init.d/${service}`, join(aside, 'etc/runlevels', runlevel, service));
    }
  }
  await symlink('/usr/bin/udevadm', join(aside, 'usr/local/sbin/systemd-udevd'));
  await rename(aside, directory);
  await writeFileAtomic(stamp, wanted);
  return directory;
}
