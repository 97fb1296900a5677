import type { Command } from 'commander';
import { runningSlot } from '../../blade/standby.ts';
import { verifyBlade } from '../../blade/verify-blade.ts';
import { BladerootError } from '../../errors.ts';
import { loadFleet } from '../../fleet/load.ts';
import { resolveBlade } from '../../fleet/resolve.ts';
import { runInteractive } from '../../system/run.ts';
import { PROGRAM } from '../../tree/program.ts';
import { collect, contextOf, leaf, type Context } from '../command.ts';
import { differenceAsJson, linesOf, summaryOf } from '../tree-difference.ts';

const MOUNT_POINT = '/run/bladeroot/verify';

interface Options {
  local?: true;
  ignore: string[];
}

export function verifyCommand(signal: AbortSignal): Command {
  return leaf(
    'verify',
    'compare a running blade with its release: what was changed, added and removed; exit status 1 when anything was',
    [
      'bladeroot blade verify web01                      # by SSH, as root',
      'bladeroot blade verify --local                    # on the blade',
      "bladeroot blade verify web01 --ignore '/opt/app/cache/'",
    ],
  )
    .argument('[blade]', 'the name of a blade')
    .option('--local', 'the machine that this runs on')
    .option(
      '--ignore <pattern>',
      'what may change, as in .gitignore; can be given again and again',
      collect,
      [],
    )
    .action(async (name: string | undefined, options: Options, command: Command) => {
      const context = contextOf(command, signal);
      if (options.local === true && name === undefined) await verifyHere(context, options.ignore);
      else if (options.local !== true && name !== undefined) await verifyThere(context, name, options.ignore);
      else command.error('name one blade, or give --local on the blade itself');
    });
}

async function verifyHere({ stateDirectory, output, signal }: Context, ignore: string[]): Promise<void> {
  const slot = await runningSlot();
  const request = { stateDirectory, slot, directory: '/', mountPoint: MOUNT_POINT, ignore, signal };
  const { difference, ...verified } = await verifyBlade(request);
  const lines = linesOf(difference);
  const is = `${verified.blade} is release ${verified.release}, in slot ${slot}`;
  const text =
    lines.length === 0 ? `${is}; nothing has drifted` : [...lines, `${is}; ${summaryOf(difference)}`];
  output.result({ ...verified, ...differenceAsJson(difference) }, [text].flat().join('\n'));
  if (lines.length > 0) process.exitCode = 1;
}

/** What SSH ends with when it does not come to the blade at all (ssh(1)). */
const NO_CONNECTION = 255;

async function verifyThere({ fleetDirectory, json }: Context, name: string, ignore: string[]): Promise<void> {
  const { address } = resolveBlade(await loadFleet(fleetDirectory), name);
  const words = [`/${PROGRAM}/bin/bladeroot`, 'blade', 'verify', '--local', ...(json ? ['--json'] : [])];
  for (const pattern of ignore) words.push('--ignore', `'${pattern.replaceAll("'", `'\\''`)}'`);
  process.exitCode = await runInteractive('ssh', [`root@${address}`, words.join(' ')]);
  if (process.exitCode !== NO_CONNECTION) return;
  throw new BladerootError('NO_SSH', `${name} cannot be reached by SSH at ${address}`, {
    hint: 'its `ssh.authorizedKeys` has to have a key of yours; or run it on the blade, with --local',
  });
}
