/**
 * How QEMU runs the machines' code. /dev/kvm can be there and open well and guests hang all the same (nested
 * virtualisation that is switched off below us), so nothing is believed that has not been seen to boot.
 */
import { constants } from 'node:fs';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { describeError } from '../src/errors.ts';
import { writeFileAtomic } from '../src/system/write-file.ts';
import { portWriter } from './boot-sector.ts';
import { startProcess, type OwnedProcess } from './process.ts';

export const acceleratorSchema = z.object({
  kind: z.enum(['kvm', 'tcg']),
  /** Why this one, for a person. */
  reason: z.string(),
});

/** `kvm`: hardware virtualisation. `tcg`: plain emulation, some ten times slower, which works everywhere. */
export type Accelerator = z.infer<typeof acceleratorSchema>;

/**
 * The accelerator to use on this machine: from `file` when it was found out since the kernel's boot, else probed and
 * written there.
 */
export async function knownAccelerator(file: string, signal?: AbortSignal): Promise<Accelerator> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const kept = keptSchema.safeParse(await readJson(file));
  if (kept.success && kept.data.bootId === bootId) return kept.data.accelerator;
  const accelerator = await probeAccelerator(signal);
  await writeFileAtomic(file, `${JSON.stringify({ bootId, accelerator }, null, 2)}\n`);
  return accelerator;
}

/** Boots something tiny under KVM; takes up to 8 seconds where guests hang. */
export async function probeAccelerator(signal?: AbortSignal): Promise<Accelerator> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    return { kind: 'tcg', reason: `/dev/kvm cannot be used: ${describeError(error)}` };
  }
  const fault = await bootFault('kvm', signal);
  return fault === undefined
    ? { kind: 'kvm', reason: 'a test guest ran under KVM' }
    : { kind: 'tcg', reason: `a test guest did not run under KVM: ${fault}` };
}

/** Boots a sector that makes QEMU end with a known status: what went wrong, or undefined when nothing did. */
export async function bootFault(
  kind: Accelerator['kind'],
  signal?: AbortSignal,
): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-probe-'));
  try {
    const disk = join(directory, 'disk.raw');
    const log = join(directory, 'qemu.log');
    await writeFile(disk, portWriter(EXIT_PORT, EXIT_VALUE));
    const qemu = await startProcess(
      'qemu-system-x86_64',
      [
        ['-machine', 'pc', '-accel', kind, '-m', '16'],
        ['-nodefaults', '-no-user-config', '-display', 'none'],
        ['-drive', `file=${disk},format=raw,if=ide`],
        ['-device', `isa-debug-exit,iobase=${EXIT_PORT},iosize=1`],
      ].flat(),
      { stdout: log, stderr: log, outlive: false },
    );
    const status = await statusWithin(qemu, PROBE_TIMEOUT_MS, signal);
    if (status === 2 * EXIT_VALUE + 1) return undefined;
    if (status === undefined) return `it hung for ${PROBE_TIMEOUT_MS / 1000} s`;
    return `QEMU ended with status ${status}: ${(await readFile(log, 'utf8')).trim()}`;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const PROBE_TIMEOUT_MS = 8000;
const EXIT_PORT = 0xf4;
const EXIT_VALUE = 0x2a;

const keptSchema = z.object({ bootId: z.string(), accelerator: acceleratorSchema });

/** The status that it ends with; killed, and undefined, when it has not ended in time. */
async function statusWithin(
  qemu: OwnedProcess,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<number | null | undefined> {
  const late = AbortSignal.timeout(timeoutMs);
  try {
    return (await qemu.ended(signal === undefined ? late : AbortSignal.any([late, signal]))).status;
  } catch (error) {
    if (late.aborted) return undefined;
    throw error;
  } finally {
    qemu.kill('SIGKILL');
    await qemu.ended();
  }
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    // Missing or damaged: it can always be found out again.
    return undefined;
  }
}
