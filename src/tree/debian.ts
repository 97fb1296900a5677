import { run } from '../system/run.ts';
import { inNamespaces } from './namespaces.ts';

/** For any PC; `linux-image-cloud-amd64` is a small one for virtual machines. */
export const DEBIAN_KERNEL = 'linux-image-amd64';

/** What a tree can start its services with. */
export const DEBIAN_INITS = ['systemd', 'openrc'] as const;
export type DebianInit = (typeof DEBIAN_INITS)[number];

/** What is the first process and what it needs to start the rest. */
const INIT_PACKAGES: Record<DebianInit, readonly string[]> = {
  systemd: ['systemd-sysv', 'dbus'],
  // Debian's OpenRC runs under sysvinit, and configures networks with ifupdown. Scripts that packages have dropped are in a package of their own.
  openrc: ['sysvinit-core', 'openrc', 'orphan-sysvinit-scripts', 'ifupdown'],
};

/** What a Debian tree needs to be laid on blades: to boot, to be unpacked in the initrd, to be its own root. */
const BLADE_PACKAGES: readonly string[] = [
  // a system that boots, beside its kernel
  'udev',
  'iproute2',
  'openssh-server',
  // what the initrd is made of (initrd/tools.ts)
  'busybox-static',
  'kmod',
  'fdisk',
  'e2fsprogs',
  'dosfstools',
  'tar',
  'libstdc++6',
  // the blade's own boot loader
  'grub-pc-bin',
  'grub-efi-amd64-bin',
  'grub2-common',
];

/** Debian packages that every tree with this init has, beside its kernel. */
export function debianPackages(init: DebianInit): string[] {
  return [...INIT_PACKAGES[init], ...BLADE_PACKAGES];
}

export interface DebianRequest {
  /** `bookworm`, `trixie`, ... */
  suite: string;
  /** The kernel's package. */
  kernel: string;
  init: DebianInit;
  /** Debian packages beside those that every blade needs. */
  include: string[];
  /** Lines for the tree's sources.list; when left out, mmdebstrap's own for the suite. */
  sources?: string[];
  /** An empty directory, or one that is not there yet. */
  directory: string;
  signal?: AbortSignal | undefined;
  /** Called with each line that mmdebstrap says. */
  onProgress?: (line: string) => void;
}

/** Builds a Debian tree with mmdebstrap, from the mirrors asked for, or those that it is set up for here. */
export async function createDebianTree(request: DebianRequest): Promise<void> {
  const include = [request.kernel, ...debianPackages(request.init), ...request.include].join(',');
  // Lists and downloaded archives are dropped: `apt update` in the tree brings them back.
  const args = [
    '--variant=minbase',
    `--include=${include}`,
    request.suite,
    request.directory,
    ...(request.sources ?? []),
  ];
  await run(...inNamespaces(['mmdebstrap', ...args]), {
    // Asked to end, it first finishes what it installs.
    killSignal: 'SIGKILL',
    signal: request.signal,
    // Debian's own initrd would be made for this machine, and blades start with bladeroot's.
    env: { INITRD: 'No' },
    onStderr: (text) => {
      for (const line of text.split('\n')) if (line.startsWith('I: ')) request.onProgress?.(line.slice(3));
    },
  });
}
