/**
 * What a machine leaves behind in its root filesystem: its identity, its logs, what it downloaded, what lies in scratch
 * space and below mount points. It does not belong to the image and is left out. Listed in docs/format.md as well.
 */
import { fromText, type BytePath } from './byte-path.ts';

export const LEFTOVERS = {
  /** Directories that are kept with nothing in them. */
  contents: ['dev', 'proc', 'run', 'sys', 'tmp', 'var/tmp'],
  /** Regular files that are left out; directories and symbolic links of such names stay. */
  files: [
    'etc/ssh/ssh_host_*_key',
    'etc/ssh/ssh_host_*_key.pub',
    'var/cache/apt/**',
    'var/lib/apt/lists/**',
    'var/lib/dbus/machine-id',
    'var/lib/systemd/random-seed',
    'var/log/**',
  ],
  /**
   * Kept as an empty file: without /etc/machine-id systemd takes the first boot for the machine's very first and
   * applies the distribution's presets to all services, over what the image enables (machine-id(5)).
   */
  emptied: ['etc/machine-id'],
} as const;

/** Whether a path matches a pattern, in which `*` is anything but a slash, `**` anything, `?` one byte. */
export type Matcher = (path: BytePath) => boolean;

export function matcherOf(patterns: readonly string[]): Matcher {
  if (patterns.length === 0) return () => false;
  const sources = patterns.map((pattern) =>
    fromText(pattern)
      .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
      .replace(/\*\*|\*|\?/g, (wildcard) => WILDCARDS.get(wildcard) ?? ''),
  );
  const expression = new RegExp(`^(?:${sources.join('|')})$`, 's');
  return (path) => expression.test(path);
}

const WILDCARDS = new Map([
  ['**', '.*'],
  ['*', '[^/]*'],
  ['?', '[^/]'],
]);
