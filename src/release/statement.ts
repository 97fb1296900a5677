/** What a release says; it is signed, and everything else that a blade installs hangs on it by SHA-256. */
import { z } from 'zod';
import { digestSchema } from '../store/digest-schema.ts';

const blobSchema = z.strictObject({ digest: digestSchema, bytes: z.number().int().nonnegative() });

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
  /** Bytes; absent: a share of the disk (agent/disk-layout.ts). */
  slotBytes: z.number().int().positive().optional(),
  /** The blade's own configuration: a tar archive, as overlay/archive.ts writes it. */
  overlay: blobSchema,
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
  snapshot: z.strictObject({ id: digestSchema, tree: z.string() }),
  kernel: blobSchema.extend({ version: z.string() }),
  initrd: blobSchema,
  /** What firmware loads by TFTP, by file name. */
  loaders: z.record(z.string(), blobSchema),
  /** The fleet folder, as a tar archive: what a blade needs to be root. */
  config: blobSchema,
  blades: z.array(releaseBladeSchema),
});

export type Blob = z.infer<typeof blobSchema>;
export type ReleaseBlade = z.infer<typeof releaseBladeSchema>;
export type ReleaseStatement = z.infer<typeof releaseSchema>;

/** Every blob of a release, each once: what a standby mirrors beside the packs. */
export function releaseBlobs(release: ReleaseStatement): Blob[] {
  const all = [
    release.kernel,
    release.initrd,
    release.config,
    ...Object.values(release.loaders),
    ...release.blades.map((blade) => blade.overlay),
  ];
  return [...new Map(all.map(({ digest, bytes }) => [digest, { digest, bytes }])).values()];
}
