/** What a machine says of itself before it is a blade: enough for a person to tell it from its neighbours in the rack. */
import { z } from 'zod';

/** What stands in SMBIOS or in a disk's label; cut by the agent, so that nobody has to store a novel. */
const word = z.string().min(1).max(128);

const mac = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, 'a MAC is written like 52:54:00:12:34:56');

const count = z.number().int().nonnegative();

/** A partition as the table says it; all in bytes. */
const partitionSchema = z.object({
  number: count,
  path: word,
  /** In the GPT; empty without one. */
  name: z.string().max(128),
  /** Of the partition itself (PARTUUID), and of its type; empty where the table has none. */
  uuid: z.string().max(64),
  type: z.string().max(64),
  start: count,
  bytes: count,
  /** As blkid names what is in it, such as `ext4` or `crypto_LUKS`. */
  fileSystem: word.optional(),
  /** Whether nothing is in it: no file system, and only zeros in its first MiB. */
  blank: z.boolean(),
  /** Of what is a part of an array of mdadm: the UUID of that. */
  array: z.string().max(64).optional(),
});

/** What the agent has found on a disk, which it has only read. */
const contentsSchema = z.object({
  /** Bytes of a logical sector. */
  sectorBytes: z.number().int().positive(),
  readOnly: z.boolean(),
  removable: z.boolean(),
  /** Such as `gpt` or `dos`; absent where there is no partition table. */
  table: word.optional(),
  partitions: z.array(partitionSchema).max(128),
  /** What wipefs finds on the disk itself, such as `gpt` or `ext4`. */
  signatures: z.array(word).max(64),
  /** Whether the first MiB holds anything but zeros, and its SHA-256. */
  written: z.boolean(),
  digest: z.string().max(64),
  /** Why it could not be looked at; absent when it could. */
  unreadable: z.string().max(2000).optional(),
});

const diskSchema = z.object({
  path: word,
  bytes: count,
  model: word.optional(),
  serial: word.optional(),
  rotational: z.boolean(),
  /** Absent from agents that did not say it. */
  contents: contentsSchema.optional(),
  /** Of a mirror that bladeroot has made and the agent has started, which stands here as a disk: what is there of it. */
  mirror: z
    .object({
      uuid: z.string().max(64),
      /** Paths of the partitions that it runs on, two where it is whole. */
      halves: z.array(word).max(2),
    })
    .optional(),
});

/** Fields that a newer agent has and this root does not know are left out, so that the machine still gets its name. */
export const machineSchema = z.object({
  /** Of the card that it booted from: by this it is known to DHCP. */
  mac,
  /** From SMBIOS; absent where the maker has left it empty or as it was delivered to him. */
  serial: word.optional(),
  /** Lower case, such as 4c4c4544-0034-3010-8048-b7c04f4e4d32. */
  guid: z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    .optional(),
  /** The public half of the identity (age) that it has made for itself; who has it can prove nothing by it. */
  recipient: z
    .string()
    .regex(/^age1[02-9ac-hj-np-z]{58}$/)
    .optional(),
  vendor: word.optional(),
  model: word.optional(),
  firmware: z.enum(['bios', 'uefi']),
  cpu: z.object({ model: word.optional(), count: count }),
  memoryBytes: count,
  nics: z
    .array(
      z.object({
        name: word,
        mac,
        driver: word.optional(),
        /** Megabits per second, where there is a link. */
        speed: z.number().int().positive().optional(),
        link: z.boolean(),
      }),
    )
    .max(64),
  disks: z.array(diskSchema).max(256),
  /** Why it cannot lay out its disks, and waits for a person. */
  refusal: z.string().max(2000).optional(),
});

export type Machine = z.infer<typeof machineSchema>;

export type PartitionFacts = z.infer<typeof partitionSchema>;
type DiskContents = z.infer<typeof contentsSchema>;
/** A disk that was looked at. */
export type DiskFacts = z.infer<typeof diskSchema> & { contents: DiskContents };

/** By what a machine can be named in fleet.yaml. */
export interface MachineIdentity {
  macs: readonly string[];
  serial?: string | undefined;
  guid?: string | undefined;
}

export function identityOf({ mac: own, nics, serial, guid }: Machine): MachineIdentity {
  return { macs: [...new Set([own, ...nics.map((nic) => nic.mac)])], serial, guid };
}

/** In a few words, such as `QEMU Standard PC, serial X1, 4 CPUs, 16.0 GB, 1 disk`. */
export function describeMachine(machine: Machine): string {
  const { vendor, model, serial, cpu, memoryBytes, disks } = machine;
  const name = [vendor, model].filter((part) => part !== undefined).join(' ');
  return [
    ...(name === '' ? [] : [name]),
    ...(serial === undefined ? [] : [`serial ${serial}`]),
    counted(cpu.count, 'CPU'),
    `${(memoryBytes / 1e9).toFixed(1)} GB`,
    counted(disks.filter(({ mirror }) => mirror === undefined).length, 'disk'),
  ].join(', ');
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
