/** What a lab is made of, in one file: written as things are made, so that a crash at any moment leaves all findable. */
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { BladerootError } from '../src/errors.ts';
import { writeFileAtomic } from '../src/system/write-file.ts';
import { acceleratorSchema, type Accelerator } from './accelerator.ts';
import type { ProcessId } from './process.ts';
import { readIfThere } from '../src/system/read-file.ts';

/** A name of a lab, machine or host: part of file names and of network namespaces' names. */
const nameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, 'a name is 1 to 32 of a-z, 0-9 and - (not at the ends)');

/** What the cable between a machine and its segment does to frames, in each direction. */
const cableSchema = z.strictObject({
  /** Share of the frames that are lost, 0 to 1. */
  loss: z.number().min(0).max(1).default(0),
  /** How much later frames arrive, in milliseconds. */
  delayMs: z.number().nonnegative().default(0),
});

const machineFields = z.strictObject({
  name: nameSchema,
  mac: z.string().regex(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'a MAC is written like 52:54:00:12:34:56'),
  memoryMiB: z.int().min(16).default(1024),
  /** Size of the disk, which is a sparse file; a multiple of 512. 0: it has none. */
  diskBytes: z.int().nonnegative().multipleOf(512),
  /** Size of its second disk; 0: it has one at the most. */
  secondDiskBytes: z.int().nonnegative().multipleOf(512).default(0),
  firmware: z.enum(['bios', 'uefi']).default('bios'),
  /**
   * What in the machine boots from the network. `rom-ipxe`: the card's ROM, an iPXE that speaks HTTP. `chained-ipxe`: a ROM
   * that to a server looks like plain PXE until it has asked TFTP for a loader (BIOS; see `cable.ts`). `uefi-pxe`,
   * `uefi-http`: the firmware's own PXE over IPv4, or its HTTP boot over IPv4, with no ROM on the card (UEFI).
   */
  netboot: z.enum(['rom-ipxe', 'chained-ipxe', 'uefi-pxe', 'uefi-http']).default('rom-ipxe'),
  /** Which of the lab's two segments it stands on. */
  segment: z.enum(['near', 'far']).default('near'),
  /** A bad cable; a good one when not given. */
  cable: cableSchema.optional(),
  bootOrder: z.enum(['network-first', 'disk-first']).default('network-first'),
  cores: z.int().positive().default(1),
  /**
   * `unsafe` does not wait for the disk: faster, and a crash of this computer may cost the machine's disk. `volatile`: when
   * the power is cut, the disk loses all that it was not told to flush (see `power-cut-disk.ts`).
   */
  diskCache: z.enum(['writeback', 'unsafe', 'volatile']).default('writeback'),
});

const NETBOOT_OF = {
  'rom-ipxe': undefined,
  'chained-ipxe': 'bios',
  'uefi-pxe': 'uefi',
  'uefi-http': 'uefi',
} as const;

const machineRequestSchema = machineFields.refine(
  ({ firmware, netboot }) => (NETBOOT_OF[netboot] ?? firmware) === firmware,
  { message: 'chained-ipxe is for BIOS, uefi-pxe and uefi-http are for UEFI', path: ['netboot'] },
);

const hostRequestSchema = z.strictObject({
  name: nameSchema.refine((name) => name !== 'observer', 'observer is the segment itself'),
  /** IPv4 address with prefix length. */
  address: z.cidrv4(),
  /** Makes it a router between the two segments: its address on the far one (`eth1`), with prefix length. */
  farAddress: z.cidrv4().optional(),
});

export const labRequestSchema = z.strictObject({
  name: nameSchema,
  /** The observer's address on the segment, with its prefix length. */
  address: z.cidrv4(),
  hosts: z.array(hostRequestSchema).default([]),
  machines: z.array(machineRequestSchema).default([]),
  /** Let all of it live on when this process ends, until `lab down`. */
  keep: z.boolean().default(false),
  /** How machines run: what works here, found out, unless it is given. */
  accelerator: z.enum(['probe', 'kvm', 'tcg']).default('probe'),
  /** Free space asked for in the state directory; the sum of the disks when not given. */
  freeBytes: z.int().nonnegative().optional(),
});

const processIdSchema = z.object({ pid: z.int().positive(), startTime: z.int().nonnegative() });

const machineStateSchema = z.object({
  request: machineRequestSchema,
  tap: z.string(),
  process: processIdSchema.optional(),
  /** The program that carries its frames, where its cable is not a plain one. */
  cable: processIdSchema.optional(),
  /** Which of its disks are taken out. */
  pulled: z.array(z.enum(['first', 'second'])).default([]),
  /** The program that is its disk, where that has a volatile cache. */
  disk: processIdSchema.optional(),
  /** One for each time that it was switched on: when (ms since 1970), and where its console begins in the log. */
  boots: z.array(z.object({ at: z.number(), consoleOffset: z.int().nonnegative() })),
});

const labStateSchema = z.object({
  version: z.literal(1),
  name: nameSchema,
  keep: z.boolean(),
  /** The process that made the lab. */
  owner: processIdSchema,
  accelerator: acceleratorSchema,
  /** How many devices the segment was given so far, for their names. */
  devices: z.int().nonnegative(),
  hosts: z.array(hostRequestSchema),
  machines: z.array(machineStateSchema),
  programs: z.array(z.object({ name: nameSchema, host: z.string(), process: processIdSchema })),
});

export type LabRequest = z.input<typeof labRequestSchema>;
export type HostRequest = z.input<typeof hostRequestSchema>;
export type Cable = z.infer<typeof cableSchema>;
export type MachineRequest = z.input<typeof machineRequestSchema>;
export type MachineState = z.infer<typeof machineStateSchema>;
export type LabState = z.infer<typeof labStateSchema>;

/** @throws BladerootError `LAB_REQUEST` that says what is wrong, where. */
export function parseLabRequest(request: LabRequest): z.infer<typeof labRequestSchema> {
  return parsed(labRequestSchema, request);
}

/** @throws BladerootError `LAB_REQUEST` */
export function parseMachineRequest(request: MachineRequest): MachineState['request'] {
  return parsed(machineRequestSchema, request);
}

/** @throws BladerootError `LAB_REQUEST` */
export function parseHostRequest(request: HostRequest): LabState['hosts'][number] {
  return parsed(hostRequestSchema, request);
}

/** The state of a living lab in memory, and its file. */
export class StateFile {
  readonly path: string;
  readonly state: LabState;
  #writing: Promise<void> = Promise.resolve();
  #removed = false;

  constructor(path: string, state: LabState) {
    this.path = path;
    this.state = state;
  }

  /** The state of a lab of which nothing is built yet; not written yet either. */
  static begin(
    path: string,
    { name, keep }: { name: string; keep: boolean },
    accelerator: Accelerator,
    owner: ProcessId,
  ): StateFile {
    const nothing = { devices: 0, hosts: [], machines: [], programs: [] };
    return new StateFile(path, { version: 1, name, keep, owner, accelerator, ...nothing });
  }

  /** Writes the state as it is now; one after the other, so that an older one never replaces a newer one. */
  async save(): Promise<void> {
    const write = async (): Promise<void> => {
      // A machine that was being switched on when its lab was taken down must not bring the file back.
      if (this.#removed) return;
      await writeFileAtomic(this.path, `${JSON.stringify(this.state, null, 2)}\n`);
    };
    // A write that failed was told to whoever asked for it, and does not keep the next one from being tried.
    this.#writing = this.#writing.then(write, write);
    await this.#writing;
  }

  async remove(): Promise<void> {
    this.#removed = true;
    await this.#writing.catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

/**
 * Reads a lab's state, or undefined when there is no such file.
 * @throws BladerootError `LAB_STATE` when it is not what we write.
 */
export async function readState(path: string): Promise<StateFile | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return new StateFile(path, labStateSchema.parse(JSON.parse(text)));
  } catch (cause) {
    throw new BladerootError('LAB_STATE', `${path} does not describe a lab`, {
      hint: 'if nothing of that lab runs any more, delete the file',
      cause,
    });
  }
}

function parsed<T>(schema: z.ZodType<T>, request: unknown): T {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new BladerootError('LAB_REQUEST', `the lab asked for is not possible: ${faults.join('; ')}`);
}
