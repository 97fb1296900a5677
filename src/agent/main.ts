/**
 * The agent: what runs in the initrd of a machine that booted from the network. `/init` (initrd/init.sh) has brought up
 * the network and starts this; when it ends with 0, `/init` switches to the root filesystem that it names.
 */
import { createPublicKey } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { bootId } from '../blade/report.ts';
import { describeError } from '../errors.ts';
import { HttpSource } from '../store/http-source.ts';
import type { SignedRelease } from '../release/repository.ts';
import { identityOf } from '../fleet/machine.ts';
import { attempt } from './attempt.ts';
import { parseCommandLine } from './command-line.ts';
import { claim } from './claim.ts';
import { findRelease, type FoundRelease } from './find-release.ts';
import { awaitDisks } from './await-disks.ts';
import { findIdentity } from './identity.ts';
import { inspectDisks } from '../storage/inspect.ts';
import { install, PERSIST, type BootRequest } from './install.ts';
import { inspectMachine } from './machine.ts';
import { Reporter } from './reporter.ts';
import { startRescue } from './rescue.ts';
import { runInMemory } from './run-in-memory.ts';

const PUBLIC_KEY = '/etc/bladeroot/release.pub';
const SWITCH_ROOT = '/run/bladeroot';

const show = (screen: string): void => void process.stdout.write(screen);

function describeTask({ blade, release }: FoundRelease, toRun: SignedRelease): string {
  const { sequence, fleet } = release.statement;
  const pinned = toRun === release ? '' : `, to which release ${sequence} pins it`;
  return `this is ${blade.name} of ${fleet}, to run release ${toRun.statement.sequence}${pinned}`;
}

const sourceOf = (root: string): HttpSource => new HttpSource(`${root}/store`);

/** @param mode of its command line: `rescue`, or nothing */
async function main(mode: string | undefined): Promise<void> {
  const reporter = new Reporter(await bootId(), (line) => void process.stdout.write(`bladeroot: ${line}\n`));
  try {
    reporter.done('agent', 'the agent runs');
    const publicKey = createPublicKey(await readFile(PUBLIC_KEY));
    const { roots, bootMac, deploy } = parseCommandLine(await readFile('/proc/cmdline', 'utf8'));
    if (mode === 'rescue') {
      await startRescue({ roots, publicKey, machine: await inspectMachine(bootMac), reporter });
      await reporter.flush();
      return;
    }
    reporter.started('release', `asking ${roots.join(', ')} for the release`);
    const disks = await attempt('agent', reporter, inspectDisks);
    const identity = await attempt('agent', reporter, () => findIdentity(disks, PERSIST));
    const machine = { ...(await inspectMachine(bootMac)), disks, recipient: identity.recipient };
    const asked = await attempt('release', reporter, () =>
      findRelease(roots, publicKey, identityOf(machine)),
    );
    const claimed = await claim(asked, { machine, roots, publicKey, reporter, show });
    reporter.setTarget({ root: claimed.root, blade: claimed.blade.name });
    const ready = await awaitDisks({ found: claimed, machine, roots, publicKey, reporter, sourceOf });
    const { found, toRun, source, plan } = ready;
    reporter.setTarget({ root: found.root, blade: found.blade.name });
    reporter.done('release', describeTask(found, toRun));

    const request: BootRequest = {
      ...found,
      deploy,
      publicKey,
      toRun,
      source,
      machine,
      identity,
      reporter,
    };
    const device = plan === undefined ? await runInMemory(request) : await install({ ...request, plan });
    await mkdir(SWITCH_ROOT, { recursive: true });
    await writeFile(`${SWITCH_ROOT}/switch-root`, `DEVICE=${device}\nINIT=/sbin/init\n`);
    reporter.done('switch-root', `starting the system on ${device}`);
  } catch (error) {
    process.stdout.write(`bladeroot: the agent cannot go on: ${describeError(error)}\n`);
    process.exitCode = 1;
  }
  await reporter.flush();
}

await main(process.argv[2]);
