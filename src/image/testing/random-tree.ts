/** Random trees for property tests: few names, so that two of them meet at the same paths, as different things. */
import * as fc from 'fast-check';
import type { BytePath } from '../byte-path.ts';
import { plain, type MadeData, type MadeMetadata, type MadeThing, type ThingToMake } from './make-tree.ts';
import { NET_RAW, SOME_ACL } from './xattrs.ts';

const MIB = 1024 * 1024;

/** Sizes, and where the data is, of files; `seed` is that of their content. */
const SHAPES: readonly ((seed: number) => { size: number; data: MadeData[] })[] = [
  () => ({ size: 0, data: [] }),
  ...[1, 511, 512, 513, 4096, 70_000].map((size) => (seed: number) => ({
    size,
    data: [[0, size, seed] satisfies MadeData],
  })),
  () => ({ size: 300_000, data: [] }),
  (seed) => ({ size: 12_288, data: [[8192, 1, seed]] }),
  (seed) => ({
    size: 100_000,
    data: [
      [0, 10, seed],
      [40_960, 4096, seed + 1],
    ],
  }),
  // Of several objects.
  (seed) => ({ size: 9 * MIB, data: [[0, 9 * MIB, seed]] }),
];

const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'a-b', 'B', '\xff', 'line\nbreak') },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ minLength: 1, maxLength: 255 })
      .map((bytes): BytePath => Buffer.from(bytes).toString('latin1').replaceAll(/[/\0]/g, '_'))
      .filter((text) => text !== '.' && text !== '..'),
  },
);

const seconds = fc.constantFrom(-2_000_000_000n, -1n, 0n, 1_700_000_000n, 5_000_000_000n);

const metadata = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 0xfffffffe),
  gid: fc.constantFrom(0, 50, 0xfffffffe),
  mtime: seconds.map((time) => String(time * 1_000_000_000n + 123n)),
});

/** Which of these a thing has that may have them. */
const xattrChoice = fc.subarray([
  ['user.a=b%3D', '000a3dff'],
  ['trusted.empty', ''],
  ['security.odd', 'ff'.repeat(300)],
  ['system.posix_acl_access', SOME_ACL],
  ['system.posix_acl_default', SOME_ACL],
  ['security.capability', NET_RAW],
] as const);

const thing: fc.Arbitrary<{ kind: MadeThing['type'] | 'hardlink'; shape: number; target: BytePath }> =
  fc.record({
    kind: fc.constantFrom(
      'file',
      'file',
      'file',
      'dir',
      'dir',
      'symlink',
      'hardlink',
      'fifo',
      'char',
      'block',
    ),
    // The large one is rare.
    shape: fc.oneof(
      { weight: 20, arbitrary: fc.nat(SHAPES.length - 2) },
      { weight: 1, arbitrary: fc.constant(SHAPES.length - 1) },
    ),
    target: fc.constantFrom('a', '../a', '/etc/passwd', 'no\xffwhere'),
  });

/** Trees in which files of the same size and time have the same content: as those that differ are not looked into. */
export const randomTree: fc.Arbitrary<ThingToMake[]> = fc
  .tuple(
    metadata,
    fc.array(fc.tuple(fc.nat(), name, thing, metadata, xattrChoice), { minLength: 20, maxLength: 80 }),
  )
  .map(([rootMetadata, list]) => {
    const things: ThingToMake[] = [plain('', { type: 'dir' }, rootMetadata)];
    const directories: BytePath[] = [''];
    const linkable: BytePath[] = [];
    const taken = new Set<BytePath>();
    for (const [number, own, { kind, shape, target }, meta, choice] of list) {
      const parent = directories[number % directories.length] ?? '';
      const path = parent === '' ? own : `${parent}/${own}`;
      if (taken.has(path)) continue;
      taken.add(path);
      if (kind === 'hardlink') {
        const linked = linkable[number % linkable.length];
        if (linked !== undefined) things.push({ type: 'hardlink', path, target: linked });
        continue;
      }
      if (kind === 'dir') directories.push(path);
      else linkable.push(path);
      things.push({ path, ...madeThing(kind, shape, target, meta), xattrs: xattrsFor(kind, choice) });
    }
    return things;
  });

function madeThing(
  kind: MadeThing['type'],
  shape: number,
  target: BytePath,
  meta: Omit<MadeMetadata, 'xattrs'>,
): MadeThing & Omit<MadeMetadata, 'xattrs'> {
  switch (kind) {
    case 'file': {
      const mtime = BigInt(meta.mtime) + BigInt(shape);
      const content = SHAPES[shape]?.(Number(mtime % 1000n)) ?? { size: 0, data: [] };
      return { ...meta, type: kind, ...content, mtime: String(mtime) };
    }
    case 'symlink':
      return { ...meta, type: kind, target };
    case 'char':
    case 'block':
      return { ...meta, type: kind, major: 4095, minor: shape === 0 ? 1_048_575 : shape };
    default:
      return { ...meta, type: kind };
  }
}

/** The kernel refuses others. */
function xattrsFor(
  kind: MadeThing['type'],
  choice: readonly (readonly [name: string, value: string])[],
): Record<string, string> {
  return Object.fromEntries(
    choice.filter(([key]) => {
      if (key.startsWith('user.')) return kind === 'file' || kind === 'dir';
      if (key === 'system.posix_acl_default') return kind === 'dir';
      if (key === 'system.posix_acl_access') return kind !== 'symlink';
      return key !== 'security.capability' || kind === 'file';
    }),
  );
}
