/** What a release says; it is signed, and everything else that a blade installs hangs on it by SHA-256. */
import { z } from 'zod';
import { disksSchema } from '../fleet/disk-fields.ts';
import { layoutOf, type Layout } from '../fleet/layout.ts';
import { BOOT_CHOICES, BOOT_ORDERS } from '../fleet/schema.ts';
import { subnetOf } from '../net/ipv4.ts';
import { digestSchema } from '../store/digest-schema.ts';

const blobSchema = z.strictObject({ digest: digestSchema, bytes: z.number().int().nonnegative() });
const snapshotSchema = z.strictObject({ id: digestSchema, tree: z.string() });
const kernelSchema = blobSchema.extend({ version: z.string() });

/**
 * An older release that a blade is to run: this newer statement says so, so that the blade does not take it for a root
 * that lags behind.
 */
const pinSchema = z.strictObject({
  release: z.number().int().positive(),
  /** That release as it was signed. */
  statement: blobSchema,
  /** As it says: what the root serves. */
  snapshot: snapshotSchema,
  kernel: kernelSchema,
  initrd: blobSchema,
});

const healthSchema = z.strictObject({
  command: z.array(z.string()),
  http: z.array(z.string()),
  tcp: z.array(z.string()),
  unit: z.array(z.string()),
  mayFail: z.array(z.string()),
  timeout: z.int().positive().optional(),
  period: z.int().positive().optional(),
});

const releaseBladeSchema = z.strictObject({
  name: z.string(),
  /** A blade has a MAC, or else a serial number or a GUID (SMBIOS) by which its machine is known. */
  mac: z.string().optional(),
  serial: z.string().optional(),
  guid: z.string().optional(),
  address: z.ipv4(),
  netmask: z.ipv4(),
  gateway: z.ipv4().optional(),
  dns: z.array(z.ipv4()),
  domain: z.string().optional(),
  kernelArgs: z.array(z.string()),
  /** What the fleet folder says of them, for people: what starts is in the overlay. */
  services: z.strictObject({ start: z.array(z.string()), stop: z.array(z.string()) }).optional(),
  /** Its boot menu, `timeout` in seconds; absent: none. */
  boot: z.strictObject({ default: z.enum(BOOT_CHOICES), timeout: z.int().nonnegative() }).optional(),
  /** `ram`: it has its root filesystem in memory, unpacked anew at every boot; absent: on its disk. */
  root: z.literal('ram').optional(),
  /** Which disk it is, and how it is divided; absent: as fleet/layout.ts has it for a blade that says nothing. */
  disks: disksSchema.optional(),
  /** Bytes of a slot: what releases said before there was `disks`. */
  slotBytes: z.number().int().positive().optional(),
  /** What must be so before it takes a release for good, times in seconds; absent: that no service has failed. */
  health: healthSchema.optional(),
  /** What its firmware is kept told, on UEFI; absent: nothing. */
  bootOrder: z.enum(BOOT_ORDERS).optional(),
  /** The blade's own configuration: a tar archive, as overlay/archive.ts writes it. */
  overlay: blobSchema,
  /** Absent: it runs this release. All else that stands here of a pinned blade is as in that release, but for its machine. */
  pin: pinSchema.optional(),
  /** Its accepted identity (age): a machine that has another one is not this blade, whatever its MAC. */
  recipient: z.string().optional(),
  /** Its secrets, encrypted to it: a tar archive of age files, each with the mode and owner of what is in it. */
  secrets: blobSchema.optional(),
});

const releaseNetworkSchema = z.strictObject({
  name: z.string(),
  subnet: z.cidrv4(),
  gateway: z.ipv4().optional(),
  dns: z.array(z.ipv4()),
  domain: z.string().optional(),
  /** What the root does there about DHCP: all of it, only what to boot, or nothing. */
  mode: z.enum(['server', 'proxy', 'off']),
  /** First and last address for machines that are no blades. */
  pool: z.strictObject({ from: z.ipv4(), to: z.ipv4() }).optional(),
  /** Milliseconds. */
  proxyDelay: z.number().int().nonnegative().optional(),
});

export const RELEASE_TYPE = 'application/vnd.bladeroot.release+json';

export const releaseSchema = z.strictObject({
  type: z.literal('bladeroot-release'),
  version: z.literal(1),
  fleet: z.string(),
  /** Only grows: a blade never takes a lower one for newer. */
  sequence: z.number().int().positive(),
  created: z.iso.datetime(),
  message: z.string().optional(),
  snapshot: snapshotSchema,
  kernel: kernelSchema,
  initrd: blobSchema,
  /** What firmware and iPXE load by TFTP and HTTP, by file name. */
  loaders: z.record(z.string(), blobSchema),
  /** The fleet folder, as a tar archive: what a blade needs to be root. */
  config: blobSchema,
  /** The signing key under its passphrase (PEM): whoever knows that can publish from any blade. Absent: it has none. */
  key: blobSchema.optional(),
  blades: z.array(releaseBladeSchema),
  /** Of a release without blades, for the machines that come to be adopted: where there are blades, what all of them have. */
  kernelArgs: z.array(z.string()).optional(),
  /** Releases from the time of a single network do not say it: `releaseNetworks` makes them of the blades. */
  networks: z.array(releaseNetworkSchema).optional(),
});

export type Blob = z.infer<typeof blobSchema>;
export type BladeHealth = z.infer<typeof healthSchema>;
export type Pin = z.infer<typeof pinSchema>;
export type ReleaseBlade = z.infer<typeof releaseBladeSchema>;
export type ReleaseNetwork = z.infer<typeof releaseNetworkSchema>;
export type ReleaseStatement = z.infer<typeof releaseSchema>;

/** The networks of a release, also of one that does not name them: there, those that its blades stand in. */
export function releaseNetworks(release: Pick<ReleaseStatement, 'networks' | 'blades'>): ReleaseNetwork[] {
  if (release.networks !== undefined) return release.networks;
  const bySubnet = new Map<string, ReleaseNetwork>();
  for (const { address, netmask, gateway, dns, domain } of release.blades) {
    const { network, prefix } = subnetOf(address, netmask);
    const subnet = `${network}/${prefix}`;
    const said = { dns, ...(gateway !== undefined && { gateway }), ...(domain !== undefined && { domain }) };
    if (!bySubnet.has(subnet)) bySubnet.set(subnet, { name: subnet, subnet, mode: 'server', ...said });
  }
  return [...bySubnet.values()];
}

/** How the disk of a blade is to be divided. */
export function releaseLayout({ disks, slotBytes }: Pick<ReleaseBlade, 'disks' | 'slotBytes'>): Layout {
  const slot =
    slotBytes === undefined ? {} : { slot: `${Math.max(1, Math.floor(slotBytes / 1024 ** 2))}MiB` };
  return layoutOf(disks ?? { use: {}, partitions: {}, ...slot });
}

/** The number of the release that a blade of a release is to run. */
export function releaseToRun(release: Pick<ReleaseStatement, 'sequence'>, { pin }: ReleaseBlade): number {
  return pin?.release ?? release.sequence;
}

/** The snapshots that blades of a release run, each once, its own first. */
export function releaseSnapshots(
  release: Pick<ReleaseStatement, 'snapshot' | 'blades'>,
): ReleaseStatement['snapshot'][] {
  const all = [release.snapshot, ...release.blades.flatMap(({ pin }) => pin?.snapshot ?? [])];
  return [...new Map(all.map((snapshot) => [snapshot.id, snapshot])).values()];
}

/** Every blob of a release, each once: what a standby mirrors beside the packs. */
export function releaseBlobs(release: ReleaseStatement): Blob[] {
  const all = [
    release.kernel,
    release.initrd,
    release.config,
    ...(release.key === undefined ? [] : [release.key]),
    ...Object.values(release.loaders),
    ...release.blades.map((blade) => blade.overlay),
    ...release.blades.flatMap(({ pin }) =>
      pin === undefined ? [] : [pin.statement, pin.kernel, pin.initrd],
    ),
    ...release.blades.flatMap(({ secrets }) => secrets ?? []),
  ];
  return [...new Map(all.map(({ digest, bytes }) => [digest, { digest, bytes }])).values()];
}
