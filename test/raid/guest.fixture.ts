/**
 * For tests of mirrors: what runs as the first program in a User-mode Linux, which has mdadm's driver where the kernel of
 * this machine may not. Does with its disks what an agent does, and leaves what it found in a file.
 */
import { writeFile } from 'node:fs/promises';
import { planDisks } from '../../src/disks/plan.ts';
import { describeError } from '../../src/errors.ts';
import { disksSchema } from '../../src/fleet/disk-fields.ts';
import { layoutOf } from '../../src/fleet/layout.ts';
import { run } from '../../src/system/run.ts';
import { inspectDisks } from '../../src/storage/inspect.ts';
import { layOutDisk } from '../../src/storage/lay-out.ts';

/** A step's name, or the line that a shell is to run there. */
export type GuestStep = 'inspect' | 'lay-out' | { shell: string };

const [, , out = '', disks = '{}', steps = '[]'] = process.argv;

async function take(step: GuestStep): Promise<unknown> {
  if (typeof step === 'object') return (await run('sh', ['-c', step.shell])).stdout;
  const found = await inspectDisks();
  const plan = planDisks(found, layoutOf(disksSchema.parse(JSON.parse(disks))), 0);
  if (step === 'inspect') return { disks: found, plan };
  if (plan.action === 'refuse') return { plan };
  return { plan, disk: await layOutDisk(plan, () => undefined) };
}

const results: unknown[] = [];
try {
  for (const step of JSON.parse(steps) as GuestStep[]) results.push(await take(step));
} catch (error) {
  results.push({ failed: describeError(error) });
}
await writeFile(out, JSON.stringify(results));
