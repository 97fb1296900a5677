/**
 * What a machine leaves behind in its root filesystem: its identity, its logs, what lies in scratch space and below mount
 * points. It does not belong to the image and is left out. Listed in docs/format.md as well.
 */
export const LEFTOVERS = {
  /** Directories that are kept with nothing in them. */
  contents: ['dev', 'proc', 'run', 'sys', 'tmp', 'var/tmp'],
  /** Patterns (gitignore) of regular files that are left out; directories and symbolic links of such names stay. */
  files: [
    '/etc/ssh/ssh_host_*_key',
    '/etc/ssh/ssh_host_*_key.pub',
    '/var/lib/dbus/machine-id',
    '/var/lib/misc/random-seed',
    '/var/lib/seedrng/**',
    '/var/lib/systemd/random-seed',
    '/var/log/**',
  ],
  /**
   * Kept as an empty file: without /etc/machine-id systemd takes the first boot for the machine's very first and
   * applies the distribution's presets to all services, over what the image enables (machine-id(5)).
   */
  emptied: 'etc/machine-id',
} as const;
