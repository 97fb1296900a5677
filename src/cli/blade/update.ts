import type { Command } from 'commander';
import { updateThisBlade } from '../../blade/update-this-blade.ts';
import { HTTP_PORT } from '../../daemon/root.ts';
import { contextOf, leaf, type Context } from '../command.ts';

export function updateCommand(signal: AbortSignal): Command {
  return leaf(
    'update',
    "on a blade: bring the slot that is not running to the fleet's release; the next start tries it (the blade does so by itself)",
    ['bladeroot blade update', 'bladeroot blade update && reboot'],
  ).action(async (_options, command: Command) => {
    await updateHere(contextOf(command, signal), false);
  });
}

/** @param deploy into a new file system, though a slot has the release */
export async function updateHere(
  { stateDirectory, output, signal }: Context,
  deploy: boolean,
): Promise<void> {
  const onStep = (step: string): void => output.step(step);
  const result = await updateThisBlade({ stateDirectory, port: HTTP_PORT, deploy, signal, onStep });
  const text = result.updated
    ? `release ${result.release} is in slot ${result.slot}, and is started next: restart when it suits`
    : result.why;
  output.result(result, text);
}
