/**
 * A disk with GRUB on it as a blade has it, without a blade: an ESP whose files are the program's own, and a kernel that
 * says how it was started and switches the machine off. A start takes seconds.
 */
import { strict as assert } from 'node:assert';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFirmware } from '../../lab/firmware.ts';
import { placeKernel } from '../../src/blade/grub/esp.ts';
import { grubConfig } from '../../src/blade/grub/config.ts';
import type { Slot } from '../../src/blade/state.ts';
import { writeCpio, type InitrdFile } from '../../src/initrd/cpio.ts';
import { Store } from '../../src/store/store.ts';
import { run, startPiped } from '../../src/system/run.ts';

export type Firmware = 'bios' | 'uefi';

export interface Start {
  /** Switches the machine off hard when the console has said this; else it goes on until it is off by itself. */
  cut?: RegExp;
  /** Whether it has a network card, with nobody on the wire. */
  card?: boolean;
}

const SECTOR = 512;
const MiB = 2 ** 20;
/** Of the BIOS boot partition and of the ESP, in sectors. */
const CORE_START = 2048;
const ESP_START = 8192;
const ESP_BYTES = 128 * MiB;
const DISK_BYTES = ESP_START * SECTOR + ESP_BYTES + 2 * MiB;
/** What grub-install would choose for such a disk. */
const MODULES = ['part_gpt', 'fat', 'normal', 'linux', 'loadenv', 'test', 'configfile', 'minicmd'];
const START_TIMEOUT_MS = 180_000;

/** Of the ESP; the same in every disk that is made of it. */
export const ESP_PARTUUID = '5ab4e7a1-0000-4000-8000-0000000000b2';

/** The whole of a system: its command line on the console, and off. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir /proc
/bin/busybox mount -t proc proc /proc
# What the boot loader has left on the line is ended first.
echo
echo "STARTED $(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
`;

const SYSTEM: InitrdFile[] = [{ path: 'init', mode: 0o755, content: Buffer.from(INIT) }];

export class GrubDisk {
  /** The files of the ESP, as a blade has them mounted. */
  readonly esp: string;
  readonly #directory: string;
  readonly #store: Store;
  readonly #kernel: Buffer;
  readonly #signal: AbortSignal;
  /** Of the UEFI firmware: its boot entries. */
  readonly #variables: string;

  private constructor(directory: string, store: Store, kernel: Buffer, signal: AbortSignal) {
    this.#directory = directory;
    this.#store = store;
    this.#kernel = kernel;
    this.#signal = signal;
    this.esp = join(directory, 'esp');
    this.#variables = join(directory, 'variables.fd');
  }

  /** @param kernel the path of any Linux kernel */
  static async create(kernel: string, signal: AbortSignal): Promise<GrubDisk> {
    const firmware = await findFirmware();
    const directory = await mkdtemp(join(tmpdir(), 'bladeroot-grub-'));
    const store = await Store.open(join(directory, 'store'));
    const disk = new GrubDisk(directory, store, await readFile(kernel), signal);
    await copyFile(firmware?.variables ?? assert.fail('no OVMF is installed'), disk.#variables);
    await mkdir(join(disk.esp, 'grub'), { recursive: true });
    await mkdir(join(disk.esp, 'EFI/BOOT'), { recursive: true });
    await writeFile(join(disk.esp, 'grub/grub.cfg'), grubConfig());
    const image = ['--prefix', '(,gpt2)/grub', ...MODULES];
    const efi = join(disk.esp, 'EFI/BOOT/BOOTX64.EFI');
    await run('grub-mkimage', ['--format=x86_64-efi', `--output=${efi}`, ...image]);
    const core = join(directory, 'core.img');
    const bios = ['--prefix', '(hd0,gpt2)/grub', 'biosdisk', ...MODULES];
    await run('grub-mkimage', ['--format=i386-pc', `--output=${core}`, ...bios]);
    return disk;
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /**
   * Has a slot placed as a blade does it, with a kernel that starts.
   * @param system what its initrd has beside busybox
   */
  async place(slot: Slot, system: InitrdFile[] = SYSTEM): Promise<void> {
    const put = async (content: Buffer): Promise<{ digest: string; bytes: number }> => ({
      digest: await this.#store.putBlob(content),
      bytes: content.length,
    });
    const busybox = { path: 'bin/busybox', mode: 0o755, content: await readFile('/bin/busybox') };
    const console = { path: 'dev/console', mode: 0o600, device: { major: 5, minor: 1 } };
    await placeKernel({
      esp: this.esp,
      store: this.#store,
      slot,
      release: {
        kernel: { ...(await put(this.#kernel)), version: '6.1' },
        initrd: await put(Buffer.concat([...writeCpio([busybox, console, ...system])])),
      },
      kernelArgs: ['console=ttyS0', 'quiet'],
      partition: `0000-${slot}`,
    });
  }

  /** The disk, made anew of the files that the ESP has now; what GRUB writes comes back into them by `readBack`. */
  async #write(): Promise<string> {
    const path = join(this.#directory, 'disk');
    await rm(path, { force: true });
    await writeFile(path, '');
    await truncate(path, DISK_BYTES);
    const table = [
      'label: gpt',
      `start=${CORE_START}, size=${ESP_START - CORE_START}, type=21686148-6449-6E6F-744E-656564454649`,
      `start=${ESP_START}, size=${ESP_BYTES / SECTOR}, type=uefi, uuid=${ESP_PARTUUID}`,
      '',
    ];
    await run('sfdisk', ['--quiet', path], { input: table.join('\n') });
    await this.#writeBootSector(path);
    const esp = join(this.#directory, 'esp.img');
    await rm(esp, { force: true });
    await run('mkfs.vfat', ['-C', '-F', '32', esp, String(ESP_BYTES / 1024)]);
    await run('mcopy', ['-s', '-Q', '-i', esp, ...(await topOf(this.esp)), '::']);
    await run('dd', [
      `if=${esp}`,
      `of=${path}`,
      'bs=1M',
      `seek=${(ESP_START * SECTOR) / MiB}`,
      'conv=notrunc,sparse',
      'status=none',
    ]);
    return path;
  }

  /** As grub-bios-setup does it (GRUB, util/setup.c): boot.img learns where core.img is, and core.img how long it is. */
  async #writeBootSector(path: string): Promise<void> {
    const boot = await readFile('/usr/lib/grub/i386-pc/boot.img');
    const core = await readFile(join(this.#directory, 'core.img'));
    const KERNEL_SECTOR = 0x5c;
    const PARTITION_TABLE = 0x1b8;
    const BLOCK_LIST = SECTOR - 12;
    boot.writeBigUInt64LE(BigInt(CORE_START), KERNEL_SECTOR);
    core.writeBigUInt64LE(BigInt(CORE_START + 1), BLOCK_LIST);
    core.writeUInt16LE(Math.ceil(core.length / SECTOR) - 1, BLOCK_LIST + 8);
    const disk = await open(path, 'r+');
    await disk.write(boot, 0, PARTITION_TABLE, 0);
    await disk.write(core, 0, core.length, CORE_START * SECTOR);
    await disk.close();
  }

  /**
   * Starts the machine from the disk.
   * @returns the command line of the kernel that was started; undefined where none was
   */
  async start(
    firmware: Firmware,
    { cut, card = false }: Start = {},
  ): Promise<{ commandLine: string | undefined; console: string }> {
    const disk = await this.#write();
    const over = new AbortController();
    const signal = AbortSignal.any([this.#signal, over.signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
    const qemu = startPiped('qemu-system-x86_64', await this.#arguments(firmware, disk, card), {
      signal,
      killSignal: 'SIGKILL',
    });
    let console = '';
    qemu.stdout.setEncoding('utf8').on('data', (text: string) => {
      console += text;
      if ((cut ?? NO_DEVICE).test(console)) over.abort();
    });
    await qemu.done.catch((error: unknown) => {
      if (!over.signal.aborted) assert.fail(`${String(error)}; the console said:\n${console}`);
    });
    await this.#readBack(disk);
    return { commandLine: /^STARTED (.*?)\r?$/m.exec(console)?.[1], console };
  }

  async #arguments(firmware: Firmware, disk: string, card: boolean): Promise<string[]> {
    const uefi = firmware === 'uefi' ? await findFirmware() : undefined;
    return [
      ['-machine', 'pc,graphics=off', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '512'],
      ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio'],
      ['-drive', `id=disk,if=none,format=raw,file=${disk}`, '-device', 'nvme,drive=disk,serial=disk'],
      ...(card ? CARD : []),
      ...(uefi === undefined
        ? []
        : [
            ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${uefi.code}`],
            ['-drive', `if=pflash,unit=1,format=raw,file=${this.#variables}`],
          ]),
    ].flat();
  }

  async #readBack(disk: string): Promise<void> {
    const at = `${disk}@@${ESP_START * SECTOR}`;
    const path = join(this.esp, 'grub/grubenv');
    const { stdout } = await run('mdir', ['-b', '-i', at, '::/grub']);
    if (stdout.includes('grubenv')) await run('mcopy', ['-n', '-o', '-i', at, '::/grub/grubenv', path]);
  }
}

/** OVMF asks by IPv4 alone, which is slow enough where nobody answers. */
const CARD = [
  ['-netdev', 'hubport,id=wire,hubid=0', '-device', 'virtio-net-pci,netdev=wire'],
  ['-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n'],
];

/** SeaBIOS and OVMF, when nothing that they have boots: OVMF shows its own menu, or a shell. */
export const NO_DEVICE =
  /No bootable device|BdsDxe: No bootable option|BdsDxe: starting Boot\d+ "(UiApp|EFI Internal Shell)"/;

async function topOf(directory: string): Promise<string[]> {
  const { stdout } = await run('find', [directory, '-mindepth', '1', '-maxdepth', '1']);
  return stdout.trim().split('\n');
}
