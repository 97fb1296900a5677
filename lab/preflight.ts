/** Everything that can be known to fail before anything is built. */
import { constants } from 'node:fs';
import { access, open, statfs } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { BladerootError, describeError, errorCode } from '../src/errors.ts';
import { run } from '../src/system/run.ts';
import { findFirmware } from './firmware.ts';

export interface PreflightRequest {
  /** The lab's state directory; it need not exist yet. */
  directory: string;
  /** What the machines' disks may come to hold, in bytes. */
  diskBytes: number;
  /** The machines' names: their sockets' paths must not be too long. */
  machines: string[];
  /** Whether any machine has UEFI firmware. */
  uefi: boolean;
  /** Where programs are looked for; this process's PATH unless a test says otherwise. */
  path?: string;
}

export interface Fault {
  what: string;
  /** What to do about it. */
  todo: string;
}

/** @throws BladerootError `LAB_PREFLIGHT` that names every fault found, each with what to do. */
export async function preflight(request: PreflightRequest): Promise<void> {
  const faults = await findFaults(request);
  if (faults.length === 0) return;
  const list = faults.map(({ what, todo }) => `${what} (${todo})`).join('; ');
  throw new BladerootError('LAB_PREFLIGHT', `the lab cannot be built here: ${list}`);
}

/** All that stands in the way of a lab; empty when nothing does. */
export async function findFaults(request: PreflightRequest): Promise<Fault[]> {
  const path = request.path ?? process.env['PATH'] ?? '';
  const programs = await programFaults(path);
  const missing = (program: string): boolean => programs.some(({ what }) => what.startsWith(`${program} `));
  // Without root rights each of the further checks would fail, and say less clearly why.
  const root = process.getuid?.() === 0;
  return [
    ...(root ? [] : [{ what: 'this needs root rights', todo: 'run it as root, or with sudo' }]),
    ...programs,
    ...(await tunFaults()),
    ...(root && !missing('ip') ? await namespaceFaults() : []),
    ...(missing('qemu-system-x86_64') ? [] : await firmwareFaults(request.uefi)),
    ...(await diskFaults(request.directory, request.diskBytes)),
    ...socketPathFaults(request),
  ];
}

/** What the lab runs, and the Debian package that has it. */
const PROGRAMS = { 'qemu-system-x86_64': 'qemu-system-x86', ip: 'iproute2', setpriv: 'util-linux' };

async function programFaults(path: string): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const [program, debianPackage] of Object.entries(PROGRAMS)) {
    const places = path.split(delimiter).map((directory) => join(directory, program));
    const found = await Promise.all(places.map((place) => may(place, constants.X_OK)));
    if (!found.includes(true)) {
      faults.push({
        what: `${program} is not installed`,
        todo: `apt-get install ${debianPackage}`,
      });
    }
  }
  return faults;
}

async function tunFaults(): Promise<Fault[]> {
  try {
    await (await open('/dev/net/tun', 'r+')).close();
    return [];
  } catch (error) {
    return [{ what: `/dev/net/tun cannot be opened: ${describeError(error)}`, todo: 'modprobe tun' }];
  }
}

/** Makes, in a namespace that is thrown away, one of each device that the lab makes later. */
async function namespaceFaults(): Promise<Fault[]> {
  const namespace = `br-preflight.${process.pid}`;
  try {
    await run('ip', ['netns', 'add', namespace]);
  } catch (error) {
    return [
      {
        what: `no network namespace can be made: ${describeError(error)}`,
        todo: 'use a machine or container with CAP_SYS_ADMIN and a kernel with CONFIG_NET_NS',
      },
    ];
  }
  const faults: Fault[] = [];
  try {
    for (const [device, args] of Object.entries(DEVICES)) {
      try {
        await run('ip', ['-n', namespace, ...args]);
      } catch (error) {
        faults.push({
          what: `no ${device} can be made: ${describeError(error)}`,
          todo: `modprobe ${device}`,
        });
      }
    }
  } finally {
    await run('ip', ['netns', 'delete', namespace]);
  }
  return faults;
}

/** By the kernel module that makes them. */
const DEVICES = {
  bridge: ['link', 'add', 'test0', 'type', 'bridge'],
  veth: ['link', 'add', 'test1', 'type', 'veth', 'peer', 'name', 'test2'],
  tun: ['tuntap', 'add', 'dev', 'test3', 'mode', 'tap'],
};

async function firmwareFaults(uefi: boolean): Promise<Fault[]> {
  const { stdout } = await run('qemu-system-x86_64', ['-L', 'help']);
  const directories = stdout.split('\n').filter((line) => line !== '');
  const faults: Fault[] = [];
  for (const [file, debianPackage] of Object.entries(FIRMWARE)) {
    const found = await Promise.all(directories.map((directory) => may(join(directory, file))));
    if (!found.includes(true)) {
      faults.push({ what: `QEMU has no ${file}`, todo: `apt-get install ${debianPackage}` });
    }
  }
  if (uefi && (await findFirmware()) === undefined) {
    faults.push({ what: 'there is no UEFI firmware for QEMU', todo: 'apt-get install ovmf' });
  }
  return faults;
}

/** SeaBIOS, and the iPXE that QEMU puts on its virtio network cards (for BIOS and UEFI in one). */
const FIRMWARE = { 'bios-256k.bin': 'seabios', 'efi-virtio.rom': 'ipxe-qemu' };

async function diskFaults(directory: string, wanted: number): Promise<Fault[]> {
  const { bavail, bsize } = await statfs(await nearestExisting(resolve(directory)));
  const free = bavail * bsize;
  if (free >= wanted) return [];
  return [
    {
      what: `${directory} has ${gigabytes(free)} free and the machines' disks may need ${gigabytes(wanted)}`,
      todo: 'free some space, or put the lab elsewhere with --state',
    },
  ];
}

/** The kernel's limit for a unix socket's path: 108 bytes with the closing NUL (unix(7)). */
const SOCKET_PATH_BYTES = 107;

function socketPathFaults(request: PreflightRequest): Fault[] {
  const longest = request.machines
    .map((machine) => join(request.directory, 'machines', machine, 'console.sock'))
    .find((path) => Buffer.byteLength(path) > SOCKET_PATH_BYTES);
  if (longest === undefined) return [];
  return [
    {
      what: `${longest} is too long for a socket`,
      todo: 'put the lab in a directory with a shorter path',
    },
  ];
}

async function nearestExisting(path: string): Promise<string> {
  if ((await may(path)) || dirname(path) === path) return path;
  return await nearestExisting(dirname(path));
}

async function may(path: string, mode: number = constants.F_OK): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
