/** Plans the disks, and where nothing may be written to them waits until somebody has said what is to be done. */
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { planDisks, type DiskPlan, type Refusal } from '../disks/plan.ts';
import { listed, wipedDisks } from '../disks/wording.ts';
import { describeError } from '../errors.ts';
import { identityOf, type DiskFacts, type Machine } from '../fleet/machine.ts';
import type { SignedRelease } from '../release/repository.ts';
import { fetchSnapshot } from '../release/snapshots.ts';
import { releaseLayout } from '../release/statement.ts';
import type { Source } from '../store/source.ts';
import { attempt } from './attempt.ts';
import { sayHello } from './await-adoption.ts';
import { inspectDisks } from '../storage/inspect.ts';
import { findRelease, releaseOf, type FoundRelease } from './find-release.ts';
import type { Reporter } from './reporter.ts';
import { roomFor } from './room.ts';

/** Between two questions, in milliseconds; the disks are looked at anew each time. */
const EVERY_MS = 5000;

export interface AwaitDisksOptions {
  found: FoundRelease;
  machine: Machine;
  /** From the command line. */
  roots: readonly string[];
  publicKey: KeyObject;
  reporter: Reporter;
  /** Where the objects of a root's releases are. */
  sourceOf(root: string): Source;
  inspect?: () => Promise<DiskFacts[]>;
  wait?: (ms: number) => Promise<void>;
}

export interface ReadyDisks {
  found: FoundRelease;
  /** What the blade is to run: that release, or the older one to which it pins it. */
  toRun: SignedRelease;
  source: Source;
  /** Undefined for a blade that has its root filesystem in memory. */
  plan: DiskPlan | undefined;
}

/**
 * Goes on with the release that it was given, or with the first one after it whose layout or permission lets the disks
 * be laid out. Nothing is written meanwhile.
 */
export async function awaitDisks(options: AwaitDisksOptions): Promise<ReadyDisks> {
  const { machine, roots, publicKey, reporter, sourceOf, inspect = inspectDisks, wait = sleep } = options;
  let { found } = options;
  let told = '';
  for (;;) {
    const source = sourceOf(found.root);
    const toRun = await attempt('release', reporter, () => releaseOf(found, source, publicKey));
    if (found.blade.root === 'ram') return { found, toRun, source, plan: undefined };
    const disks = await attempt('disk', reporter, inspect);
    const { statement } = await attempt('disk', reporter, () =>
      fetchSnapshot(source, toRun.statement.snapshot.id, publicKey),
    );
    const plan = planDisks(disks, releaseLayout(found.blade), roomFor(statement));
    if (plan.action !== 'refuse') return { found, toRun, source, plan };
    const refusal = refusalText(found.blade.name, plan);
    if (refusal !== told) reporter.failed('disk', refusal);
    told = refusal;
    // Longer or shorter by chance, so that a rack that was switched on together does not ask in step.
    await wait(EVERY_MS * (0.75 + Math.random() / 2));
    try {
      await sayHello(found.root, { ...machine, disks, refusal });
      const asked = await findRelease([...new Set([found.root, ...roots])], publicKey, identityOf(machine));
      if (asked.blade !== undefined) found = asked;
    } catch (error) {
      reporter.say(`no root answers while the disks wait: ${describeError(error)}`);
    }
  }
}

function refusalText(blade: string, { reasons, ifWiped }: Refusal): string {
  const what = `nothing was written: ${reasons.join('; ')}`.slice(0, 1500);
  return ifWiped === undefined
    ? `${what}. Mend that, or change the layout and publish; this blade goes on by itself then`
    : `${what}. On the root: \`bladeroot blade disks ${blade} --plan\`, and to wipe ${listed(wipedDisks(ifWiped.plan))} \`bladeroot blade adopt ${blade} --wipe\`; this blade goes on by itself then`;
}
