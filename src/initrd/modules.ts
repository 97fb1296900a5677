/**
 * The kernel modules that an initrd needs to find its network, its disks and a keyboard, on whatever machine it wakes
 * up. kmod's modprobe chooses among them there.
 */
import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';

const FOLDERS = [
  'drivers/net/ethernet',
  // Those phys too that their driver asks for by number, at run time.
  'drivers/net/phy',
  'drivers/ata',
  'drivers/nvme/host',
  'drivers/scsi',
  'drivers/message/fusion',
  'drivers/mmc/core',
  'drivers/mmc/host',
  'drivers/usb/host',
  'drivers/usb/storage',
  'drivers/virtio',
  'fs/ext4',
  'fs/xfs',
  'fs/btrfs',
  'fs/fat',
  'fs/nls',
  'fs/overlayfs',
];

/** By name, wherever they lie; one that is not there is built into the kernel, or not for this machine. */
const NAMES = new Set(
  [
    'af_packet virtio_net vmxnet3 hv_netvsc xen_netfront',
    'virtio_blk virtio_scsi hv_storvsc xen_blkfront mmc_block vmd',
    'virtio_rng hv_vmbus',
    // A mirror of two disks, which brings md_mod.
    'raid1',
    // A keyboard for the rescue shell.
    'usbhid hid hid_generic atkbd i8042 hyperv_keyboard evdev',
  ].flatMap((line) => line.split(' ')),
);

/** What modprobe reads; those that depmod's version does not make are left out. */
const INDEXES = (
  'modules.dep modules.dep.bin modules.alias modules.alias.bin modules.symbols.bin modules.softdep modules.order ' +
  'modules.builtin modules.builtin.bin modules.builtin.alias.bin modules.builtin.modinfo modules.devname'
).split(' ');

/** modprobe.d(5): options and blacklists, which hold in the initrd as in the tree. */
const CONFIGURATION = ['etc/modprobe.d', 'usr/lib/modprobe.d', 'lib/modprobe.d'];

/**
 * The paths, in the image, of the modules for one kernel and of all that modprobe reads about them.
 * @throws BladerootError `NO_MODULES` when depmod was not run for this kernel, or not after it was changed.
 */
export async function findModules(image: ImageFiles, version: string): Promise<string[]> {
  const directory = `lib/modules/${version}`;
  const index = async (name: string): Promise<string[]> => {
    const path = await followLinks(image, `${directory}/${name}`);
    return path === undefined ? [] : (await image.read(path)).toString().split('\n');
  };
  const dependencies = parseDependencies(await index('modules.dep'));
  if (dependencies.size === 0) {
    throw new BladerootError(
      'NO_MODULES',
      `the image has no list of its modules, /${directory}/modules.dep`,
      {
        hint: `run \`depmod ${version}\` in the tree`,
      },
    );
  }
  const asked = parseSoftDependencies(await index('modules.softdep'), await index('modules.alias'));
  const modules = closure(dependencies, asked);
  const paths = modules.map((name) => `${directory}/${name}`);
  const there = new Set(await present(image, paths));
  const lost = paths.find((path) => !there.has(path));
  if (lost !== undefined) {
    throw new BladerootError('NO_MODULES', `the image lacks a module that its modules.dep lists: /${lost}`, {
      hint: `run \`depmod ${version}\` in the tree`,
    });
  }
  const indexes = INDEXES.map((name) => `${directory}/${name}`);
  return [...paths, ...(await present(image, indexes)), ...(await configuration(image))];
}

/** modules.dep(5): each module's path, and the paths of all modules that it needs, as they stand in the file. */
function parseDependencies(lines: string[]): Map<string, string[]> {
  const dependencies = new Map<string, string[]>();
  for (const line of lines) {
    const [path, needs] = line.split(':');
    if (path !== undefined && needs !== undefined) dependencies.set(path, needs.split(' ').filter(Boolean));
  }
  return dependencies;
}

/**
 * The modules, by name, that a module asks for by name or alias at run time: ext4 the check sum `crypto-crc32c`, which
 * several modules offer.
 */
function parseSoftDependencies(softdep: string[], alias: string[]): Map<string, string[]> {
  const offers = Map.groupBy(
    alias.map((line) => line.split(' ')),
    ([, offered]) => offered ?? '',
  );
  const asked = new Map<string, string[]>();
  for (const line of softdep) {
    const [keyword, name, ...words] = line.split(' ');
    if (keyword !== 'softdep' || name === undefined) continue;
    const wanted = words.filter((word) => word !== 'pre:' && word !== 'post:');
    const modules = wanted.flatMap((want) => [want, ...(offers.get(want) ?? []).map(([, , by]) => by ?? '')]);
    asked.set(moduleName(name), [...(asked.get(moduleName(name)) ?? []), ...modules.map(moduleName)]);
  }
  return asked;
}

function closure(dependencies: Map<string, string[]>, asked: Map<string, string[]>): string[] {
  const byName = new Map([...dependencies.keys()].map((path) => [moduleName(path), path]));
  const chosen = new Set<string>();
  const queue = [...dependencies.keys()].filter(isWanted);
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (chosen.has(path)) continue;
    chosen.add(path);
    queue.push(...(dependencies.get(path) ?? []));
    for (const name of asked.get(moduleName(path)) ?? []) {
      const soft = byName.get(name);
      if (soft !== undefined) queue.push(soft);
    }
  }
  return [...chosen].sort();
}

function isWanted(path: string): boolean {
  return NAMES.has(moduleName(path)) || FOLDERS.some((folder) => path.startsWith(`kernel/${folder}/`));
}

/** `kernel/net/ipv6/ip6-tunnel.ko.xz` is called ip6_tunnel. */
function moduleName(path: string): string {
  return posix
    .basename(path)
    .replace(/\.ko(\.(?:gz|xz|zst))?$/, '')
    .replaceAll('-', '_');
}

async function configuration(image: ImageFiles): Promise<string[]> {
  const files: string[] = [];
  for (const directory of CONFIGURATION) {
    const names = await image.list((await followLinks(image, directory)) ?? directory);
    files.push(...names.filter((name) => name.endsWith('.conf')).map((name) => `${directory}/${name}`));
  }
  return await present(image, files);
}

async function present(image: ImageFiles, paths: string[]): Promise<string[]> {
  const there = await Promise.all(paths.map((path) => followLinks(image, path)));
  return paths.filter((_, index) => there[index] !== undefined);
}
