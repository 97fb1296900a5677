/** What is wrong with the layouts that blades come to, each of whose layers is right by itself. Pure. */
import type { Fault, Surroundings } from './check.ts';
import type { Disks, FileSystem } from './disk-fields.ts';
import { didYouMean } from './nearest.ts';
import { bytesOf, PERSIST_NAME, RESERVED_PARTITIONS, sizeOf } from './layout.ts';
import { layers, mergeSettings, NO_SETTINGS } from './resolve.ts';
import type { Draft, Settings } from './schema.ts';
import type { Path } from './source.ts';

/** Bytes that a label may have, by the file system's own format; btrfs takes 255, more than anybody writes. */
const LABEL_BYTES: Partial<Record<FileSystem, number>> = { ext4: 16, xfs: 12, vfat: 11, swap: 16 };

/** Where something else is mounted on every blade. */
const TAKEN_MOUNTS: readonly string[] = ['/boot/efi', '/persist', '/var/lib/bladeroot'];

/** A fault, by the way to it in `disks`. */
interface LayoutFault {
  path: Path;
  message: string;
}

/** Every fault once, where the nearest layer of the first blade with it says what is wrong. */
export function checkDisks(draft: Draft, { faulty }: Pick<Surroundings, 'faulty'>): Fault[] {
  const faults = new Map<string, Fault>();
  for (const [name, blade] of Object.entries(draft.blades)) {
    const found = layers(draft, name, blade);
    const { disks } = found.map(([, layer]) => layer).reduce(mergeSettings, NO_SETTINGS);
    for (const { path, message } of layoutFaults(disks)) {
      const from = nearestWith(found, path);
      // What is missing because it was taken out for a fault of its own is not missing.
      if (found.some(([layer]) => faulty([...layer, 'disks', ...path, 'size']))) continue;
      faults.set(JSON.stringify([from, message]), { path: from, message });
    }
  }
  return [...faults.values()];
}

function nearestWith(found: readonly [Path, Settings][], path: Path): Path {
  const says = (layer: unknown): boolean => {
    let value: unknown = layer;
    for (const part of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return false;
      value = Reflect.get(value, part);
    }
    return value !== undefined;
  };
  const nearest = found.findLast(([, { disks }]) => says(disks));
  return [...(nearest?.[0] ?? []), 'disks', ...path];
}

function layoutFaults(disks: Disks): LayoutFault[] {
  return [
    ...choiceFaults(disks),
    ...nameFaults(disks),
    ...persistFaults(disks),
    ...sizeFaults(disks),
    ...mountFaults(disks),
    ...labelFaults(disks),
  ];
}

function choiceFaults(disks: Disks): LayoutFault[] {
  const { size } = disks.use;
  const faults = (['path', 'serial'] as const).flatMap((field) => namedFaults(disks, field));
  const [least = '', most = ''] = size?.split('..') ?? [];
  if (least === '' || most === '' || bytesOf(least) <= bytesOf(most)) return faults;
  const message = `${size} has no size in it; write the smaller one first`;
  return [...faults, { path: ['use', 'size'], message }];
}

/** Whether as many disks are named as the layout has. */
function namedFaults({ use, raid }: Disks, field: 'path' | 'serial'): LayoutFault[] {
  const named = use[field];
  if (named === undefined) return [];
  const fault = (message: string): LayoutFault[] => [{ path: ['use', field], message }];
  if (typeof named === 'string') {
    if (raid !== 1) return [];
    return fault(`raid: 1 takes two disks, and this names one; write ${field}: [${named}, …]`);
  }
  if (new Set(named).size < named.length) return fault(`${named[0]} stands there twice; write two disks`);
  return raid === 1 ? [] : fault('these are two disks; write raid: 1 for a mirror of them, or one of them');
}

function nameFaults({ partitions }: Disks): LayoutFault[] {
  return Object.keys(partitions)
    .filter((name) => RESERVED_PARTITIONS.includes(name))
    .map((name) => ({
      path: ['partitions', name],
      message: `${name} is a partition of bladeroot's own; give this one another name${name === 'a' || name === 'b' ? ', and the size of slots in disks.slot' : ''}`,
    }));
}

function persistFaults({ partitions: { [PERSIST_NAME]: persist = {} } }: Disks): LayoutFault[] {
  return (['fs', 'mount', 'label'] as const)
    .filter((field) => persist[field] !== undefined)
    .map((field) => ({
      path: ['partitions', PERSIST_NAME, field],
      message: `${PERSIST_NAME} is bladeroot's own, ext4 at /persist; only size, options and keep can be said of it`,
    }));
}

function sizeFaults({ slot, partitions }: Disks): LayoutFault[] {
  const sized: [Path, string][] = Object.entries(partitions).flatMap(([name, { size }]): [Path, string][] =>
    size === undefined ? [] : [[['partitions', name, 'size'], size]],
  );
  const missing = Object.entries(partitions)
    .filter(([name, { size }]) => size === undefined && name !== PERSIST_NAME)
    .map(([name]) => ({
      path: ['partitions', name],
      message: `size is missing; write one such as 20GiB, 25% or rest${didYouMean(name, [PERSIST_NAME])}`,
    }));
  return [...missing, ...restFaults(partitions), ...shareFaults(slot, sized)];
}

function restFaults(partitions: Disks['partitions']): LayoutFault[] {
  const takers = Object.entries(partitions).filter(([, { size }]) => size === 'rest');
  const persistTakes = partitions[PERSIST_NAME]?.size === undefined;
  const [first] = persistTakes ? [[PERSIST_NAME]] : takers;
  return takers.slice(persistTakes ? 0 : 1).map(([name]) => ({
    path: ['partitions', name, 'size'],
    message: persistTakes
      ? `${PERSIST_NAME} takes the rest unless it is given a size; write one such as ${PERSIST_NAME}: { size: 50GiB }`
      : `${first?.[0] ?? ''} takes the rest already; give one of the two a size`,
  }));
}

/** At the last share, which makes it too much. */
function shareFaults(slot: string | undefined, sized: readonly [Path, string][]): LayoutFault[] {
  const shares = [
    ...(slot === undefined ? [] : [slot, slot].map((size): [Path, string] => [['slot'], size])),
    ...sized,
  ]
    .map(([path, text]) => ({ path, text, size: sizeOf(text) }))
    .flatMap(({ path, text, size }) =>
      typeof size === 'object' && 'percent' in size ? [{ path, text, percent: size.percent }] : [],
    );
  const sum = shares.reduce((total, { percent }) => total + percent, 0);
  const last = shares.at(-1);
  if (sum <= 100 || last === undefined) return [];
  const parts = shares.map(({ text }) => text).join(' + ');
  return [
    {
      path: last.path,
      message: `the shares of the disk come to ${sum} % (${parts}, a slot counts twice); 100 % is all there is`,
    },
  ];
}

function mountFaults({ partitions }: Disks): LayoutFault[] {
  const owners = new Map(TAKEN_MOUNTS.map((mount) => [mount, "one of bladeroot's own"]));
  return Object.entries(partitions).flatMap(([name, { mount, fs, options }]): LayoutFault[] => {
    const path = ['partitions', name, 'mount'];
    if (name === PERSIST_NAME) return [];
    if (fs === 'swap' && mount !== undefined)
      return [{ path, message: 'swap is not mounted; take mount away' }];
    if (mount === undefined) {
      if (options === undefined || fs === 'swap') return [];
      const message = 'it is not mounted, so that nothing has these options; write mount, or take them away';
      return [{ path: ['partitions', name, 'options'], message }];
    }
    const owner = owners.get(mount);
    if (owner !== undefined) return [{ path, message: `${mount} is where ${owner} is mounted already` }];
    owners.set(mount, name);
    return [];
  });
}

function labelFaults({ partitions }: Disks): LayoutFault[] {
  const owners = new Map([['BLADEROOT', "bladeroot's own boot partition"]]);
  return Object.entries(partitions).flatMap(([name, { label, fs = 'ext4' }]): LayoutFault[] => {
    if (label === undefined || name === PERSIST_NAME) return [];
    const path = ['partitions', name, 'label'];
    const owner = owners.get(label);
    if (owner !== undefined) return [{ path, message: `${label} is the label of ${owner} already` }];
    owners.set(label, name);
    const most = LABEL_BYTES[fs] ?? 255;
    if (label.length <= most) return [];
    return [{ path, message: `${label} is too long: a label of ${fs} has ${most} characters at the most` }];
  });
}
