import { createHash } from 'node:crypto';
import type { Accelerator } from './accelerator.ts';
import type { CablePorts } from './cable.ts';
import type { MachineState } from './state.ts';

/** The files of one machine. */
export interface MachineFiles {
  disk: string;
  /** The second one, where it has two. */
  secondDisk: string;
  /** All that the machine wrote to its serial port, over all boots. */
  console: string;
  consoleSocket: string;
  qmpSocket: string;
  /** Where its disk answers (NBD), if that is a program of its own. */
  diskSocket: string;
  /** What QEMU itself had to say. */
  log: string;
  /** The UEFI variables of this machine (its boot entries), where it has UEFI. */
  efiVariables: string;
}

export interface MachinePlace {
  lab: string;
  files: MachineFiles;
  tap: string;
  /** Where the frames of a machine whose cable is no plain one go; undefined where it is. */
  cablePorts: CablePorts | undefined;
  accelerator: Accelerator['kind'];
  /** Which of its disks are taken out. */
  pulled: MachineState['pulled'];
  /** Path of the UEFI code; undefined on a BIOS machine. */
  uefiCode: string | undefined;
  /** A file with the state in which the machine goes on; undefined where it starts from its firmware. */
  thawFrom: string | undefined;
  /** An empty file that gets all that is done to a volatile disk, as dm-log-writes has it; undefined where none is wanted. */
  recordTo: string | undefined;
}

/** The name under which QMP knows the network card's back end. */
export const NETWORK_ID = 'net';

/** The arguments of qemu-system-x86_64 for a machine. */
export function qemuArguments(request: MachineState['request'], place: MachinePlace): string[] {
  const { files } = place;
  const [net, disk] = request.bootOrder === 'network-first' ? [1, 2] : [3, 1];
  const id = `serial=${request.name},uuid=${uuid(place, request)}`;
  return [
    ['-name', `${place.lab}-${request.name}`],
    // Without graphics SeaBIOS and iPXE write to the serial port.
    ['-machine', 'pc,graphics=off'],
    ['-accel', place.accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
    ['-cpu', CPU[place.accelerator], '-smp', String(request.cores), '-m', String(request.memoryMiB)],
    ['-nodefaults', '-no-user-config', '-display', 'none'],
    ['-smbios', `type=1,manufacturer=bladeroot,product=lab,${id}`],
    // A server that finds nothing to boot tries again, rather than stand there until somebody comes.
    ['-boot', `reboot-timeout=${RETRY_BOOT_MS}`],
    ...uefi(request, place),
    ...(request.diskBytes === 0 || place.pulled.includes('first') ? [] : diskArguments(request, place, disk)),
    ...(request.secondDiskBytes === 0 || place.pulled.includes('second')
      ? []
      : secondDiskArguments(request, files.secondDisk, disk + 1)),
    ...network(place),
    ['-device', `virtio-net-pci,netdev=${NETWORK_ID},mac=${request.mac},bootindex=${net}${rom(request)}`],

    // Without a source of entropy, making ssh host keys under emulation waits for minutes.
    ['-device', 'virtio-rng-pci'],

    ['-chardev', `socket,id=console,${listen(files.consoleSocket)},${logTo(files.console)}`],
    ['-serial', 'chardev:console'],
    ['-chardev', `socket,id=control,${listen(files.qmpSocket)}`],
    ['-mon', 'chardev=control,mode=control'],
    ...(place.thawFrom === undefined ? [] : [['-incoming', `exec:cat '${place.thawFrom}'`]]),
  ].flat();
}

const RETRY_BOOT_MS = 5000;

/**
 * Emulated, vector and string instructions are slower than plain ones, and programs that see them choose them: without
 * these, unpacking an image takes 0.83 times as long.
 */
const CPU = { kvm: 'host', tcg: 'max,-avx,-avx2,-bmi1,-bmi2,-erms,-fsrm' } as const;

/** What the machine discards becomes a hole in the file, so that many disks fit on a small one. */
const DISK_CACHE = {
  writeback: 'cache=writeback,discard=unmap',
  unsafe: 'cache=unsafe,discard=unmap',
} as const;

function diskArguments(
  { diskCache, name }: MachineState['request'],
  place: MachinePlace,
  bootIndex: number,
): string[][] {
  return [
    ['-drive', `id=disk,if=none,${diskCache === 'volatile' ? nbd(place) : file(place, diskCache)}`],
    ['-device', `virtio-blk-pci,drive=disk,serial=${name.slice(0, 20)},bootindex=${bootIndex}`],
  ];
}

/** A mirror writes all of a disk when that is new: what is zeros there becomes a hole, too. It has no volatile cache. */
function secondDiskArguments(
  { diskCache, name }: MachineState['request'],
  path: string,
  bootIndex: number,
): string[][] {
  const how = `${DISK_CACHE[diskCache === 'volatile' ? 'writeback' : diskCache]},detect-zeroes=unmap`;
  return [
    ['-drive', `id=second,if=none,format=raw,file=${comma(path)},${how}`],
    ['-device', `virtio-blk-pci,drive=second,serial=${name.slice(0, 18)}-2,bootindex=${bootIndex}`],
  ];
}

function file({ files }: MachinePlace, diskCache: keyof typeof DISK_CACHE): string {
  return `format=raw,file=${comma(files.disk)},${DISK_CACHE[diskCache]}`;
}

function nbd({ files, recordTo }: MachinePlace): string {
  const record =
    recordTo === undefined
      ? 'format=raw'
      : `format=blklogwrites,log.driver=file,log.filename=${comma(recordTo)}`;
  const server = `file.driver=nbd,file.server.type=unix,file.server.path=${comma(files.diskSocket)}`;
  return `${record},${server},cache=writeback`;
}

/** The card's ROM is QEMU's own, an iPXE; a machine that is to use its firmware's stack has none. */
function rom({ netboot }: MachineState['request']): string {
  return netboot === 'uefi-pxe' || netboot === 'uefi-http' ? ',romfile=' : '';
}

/** Straight to the segment; or by datagrams through the program in `cable-program.ts`, which stands between two of them. */
function network({ tap, cablePorts }: MachinePlace): string[][] {
  const segment = `ifname=${tap},script=no,downscript=no`;
  if (cablePorts === undefined) return [['-netdev', `tap,id=${NETWORK_ID},${segment}`]];
  return [
    // The other side takes bare frames, without the header in which offloads are agreed on.
    ['-netdev', `tap,id=segment,vnet_hdr=off,${segment}`],
    ['-netdev', dgram('outside', cablePorts.outside, cablePorts.cableOutside)],
    ['-netdev', 'hubport,id=hub-segment,hubid=0,netdev=segment'],
    ['-netdev', 'hubport,id=hub-outside,hubid=0,netdev=outside'],
    ['-netdev', dgram(NETWORK_ID, cablePorts.inside, cablePorts.cableInside)],
  ];
}

function dgram(id: string, own: number, peer: number): string {
  const local = `local.type=inet,local.host=127.0.0.1,local.port=${own}`;
  return `dgram,id=${id},${local},remote.type=inet,remote.host=127.0.0.1,remote.port=${peer}`;
}

function uefi({ netboot }: MachineState['request'], place: MachinePlace): string[][] {
  if (place.uefiCode === undefined) return [];
  // OVMF has no switch for HTTP boot: without PXE, it is what is left. Over IPv6 nothing of ours would answer.
  const off = { 'rom-ipxe': [], 'chained-ipxe': [], 'uefi-pxe': [6], 'uefi-http': [4, 6] }[netboot];
  return [
    ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${comma(place.uefiCode)}`],
    ['-drive', `if=pflash,unit=1,format=raw,file=${comma(place.files.efiVariables)}`],
    ...off.map((version) => ['-fw_cfg', `name=opt/org.tianocore/IPv${version}PXESupport,string=n`]),
  ];
}

function listen(socket: string): string {
  return `path=${comma(socket)},server=on,wait=off`;
}

function logTo(file: string): string {
  return `logfile=${comma(file)},logappend=on`;
}

/** In QEMU's option lists a comma in a value is written twice. */
function comma(value: string): string {
  return value.replaceAll(',', ',,');
}

/** The same machine has the same UUID in every run (RFC 9562 version 8: from a hash of its own). */
function uuid(place: MachinePlace, request: MachineState['request']): string {
  const hash = createHash('sha256').update(`${place.lab}/${request.name}/${request.mac}`).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
