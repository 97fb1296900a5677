import type { Command } from 'commander';
import { promote } from '../blade/promote.ts';
import { HTTP_PORT } from '../daemon/root.ts';
import { contextOf, leaf } from './command.ts';

export function promoteCommand(signal: AbortSignal): Command {
  return leaf('promote', 'on a blade: make it the root, from what it carries', [
    'bladeroot promote',
    'ssh root@web01 bladeroot promote',
  ]).action(async (_options, command: Command) => {
    const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
    const onStep = (step: string): void => output.step(step);
    const { url, release } = await promote({ stateDirectory, fleetDirectory, port: HTTP_PORT, onStep });
    const text = `this blade is the root now: ${url}, release ${release.sequence} for ${release.blades.length} blades`;
    output.result({ url, release: release.sequence }, text);
  });
}
