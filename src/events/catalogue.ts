/** Every event there is. What is not listed here cannot be emitted, reported or stored. */
import { z } from 'zod';

/** What the blade tells of itself, from the agent's start on. */
export const AGENT_STEPS = [
  'agent',
  'release',
  'disk',
  'fetch',
  'configure',
  'switch-root',
  'boot-loader',
  'health',
  'up',
  'rescue',
] as const;

/** The stations of one boot, in the order in which a blade passes them. */
export const BOOT_STEPS = ['dhcp', 'loader', 'kernel', 'initrd', ...AGENT_STEPS] as const;

export type BootStep = (typeof BOOT_STEPS)[number];

export const stepReportSchema = z.strictObject({
  type: z.literal('blade.step'),
  blade: z.string(),
  /** The kernel's boot_id: the same for all that one boot reports. */
  boot: z.string().max(64),
  step: z.enum(BOOT_STEPS),
  state: z.enum(['started', 'progress', 'done', 'failed']),
  /** Bytes, of the step `fetch`: what has been unpacked, of how much. */
  done: z.number().nonnegative().optional(),
  total: z.number().nonnegative().optional(),
  message: z.string().max(2000).optional(),
});

export const upReportSchema = z.strictObject({
  type: z.literal('blade.up'),
  blade: z.string(),
  boot: z.string().max(64),
  release: z.number().int().positive(),
  /** Absent: it runs from memory. */
  slot: z.enum(['a', 'b']).optional(),
  /** How the blade came to its slot: through the agent, or from its own disk. */
  from: z.enum(['network', 'disk']),
  /** What the service manager says of itself, such as `running`, or `degraded` and which units failed. */
  services: z.string().max(2000),
  /** The newest release that the blade does not run because it was not healthy with it, and why. */
  bad: z.strictObject({ release: z.number().int().positive(), reason: z.string().max(2000) }).optional(),
});

/** A running blade brings its other slot to a release: `ready` when its next start tries it. */
const updateReportSchema = z.strictObject({
  type: z.literal('blade.update'),
  blade: z.string(),
  boot: z.string().max(64),
  state: z.enum(['started', 'ready', 'failed']),
  release: z.number().int().positive(),
  slot: z.enum(['a', 'b']),
  message: z.string().max(2000),
});

/** How the mirror of a blade's two disks is, whenever that has changed. */
const mirrorReportSchema = z.strictObject({
  type: z.literal('blade.mirror'),
  blade: z.string(),
  boot: z.string().max(64),
  /** `rebuilding`: both disks are there, and one is still getting what the other has. */
  state: z.enum(['whole', 'degraded', 'rebuilding']),
  message: z.string().max(2000),
});

/** What a blade may report to the root. */
export const reportSchema = z.discriminatedUnion('type', [
  stepReportSchema,
  upReportSchema,
  updateReportSchema,
  mirrorReportSchema,
]);

/** Of whom an event is that is known by an address alone. */
export type Booting = { blade: string } | { mac: string };

const dhcpSchema = z.strictObject({
  type: z.enum([
    'dhcp.discover',
    'dhcp.offer',
    'dhcp.request',
    'dhcp.ack',
    'dhcp.nak',
    'dhcp.inform',
    'dhcp.decline',
    'dhcp.release',
    'dhcp.unknown',
    /** A machine asked where it cannot be served; the message says why. */
    'dhcp.foreign',
    /** The network's pool has no address left. */
    'dhcp.exhausted',
    /** Another DHCP server, at `address`, answers where this one should be alone. */
    'dhcp.other-server',
  ]),
  blade: z.string().optional(),
  mac: z.string(),
  address: z.ipv4().optional(),
  /** Who asked: the firmware's own PXE or HTTP boot, iPXE, or a system that runs already (the initrd's first). */
  client: z.enum(['firmware', 'ipxe', 'system']).optional(),
  message: z.string().optional(),
});

const servedSchema = z.strictObject({
  /** `boot.kernel` and `boot.initrd` when their last byte was sent, or when the machine broke them off. */
  type: z.enum(['boot.loader', 'boot.script', 'boot.kernel', 'boot.initrd', 'boot.failed']),
  /** Its address where neither a blade nor a MAC is known. */
  blade: z.string().optional(),
  /** Instead of `blade`: of a machine that is none. */
  mac: z.string().optional(),
  message: z.string().optional(),
  /** Of a script: why the blade gets what it gets, where that is not what its release says. */
  reason: z.string().optional(),
  /** How far a file came, in bytes, of how many. */
  done: z.number().nonnegative().optional(),
  total: z.number().nonnegative().optional(),
});

/**
 * A machine that is no blade yet, and one that has become one; `message` says what machine it is. One that is a blade by
 * its MAC, serial number or GUID, and whose identity nobody has accepted, or is not the accepted one: it gets no secrets.
 * One that is refused has the serial number or GUID of a blade that another machine is already.
 */
const machineSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('machine.pending'), mac: z.string(), message: z.string() }),
  z.strictObject({
    type: z.enum(['machine.adopted', 'machine.refused']),
    mac: z.string(),
    blade: z.string(),
    message: z.string(),
  }),
  z.strictObject({
    type: z.enum(['machine.unapproved', 'machine.other-identity']),
    mac: z.string(),
    blade: z.string(),
    /** What it has shown (age). */
    recipient: z.string(),
    message: z.string(),
  }),
]);

const rootSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('root.started'), url: z.string(), release: z.number().int() }),
  /** A later release has a network that this root cannot serve as it runs; the message says what to do. */
  z.strictObject({ type: z.literal('root.not-serving'), message: z.string() }),
]);

export const eventSchema = z.discriminatedUnion('type', [
  stepReportSchema,
  upReportSchema,
  updateReportSchema,
  mirrorReportSchema,
  dhcpSchema,
  servedSchema,
  machineSchema,
  rootSchema,
]);

export type Report = z.infer<typeof reportSchema>;
export type StepReport = z.infer<typeof stepReportSchema>;
export type UpReport = z.infer<typeof upReportSchema>;
export type UpdateReport = z.infer<typeof updateReportSchema>;
export type MirrorReport = z.infer<typeof mirrorReportSchema>;
export type BladerootEvent = z.infer<typeof eventSchema>;

/**
 * An event as it stands in the stream: `time` in milliseconds since 1970, `id` growing by one; progress within a step has
 * the `id` of the event before it.
 */
export type RecordedEvent = BladerootEvent & { id: number; time: number };
