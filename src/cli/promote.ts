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
    const { url, release, canPublish } = await promote({
      stateDirectory,
      fleetDirectory,
      port: HTTP_PORT,
      onStep,
    });
    const text = [
      `this blade is the root now: ${url}, release ${release.sequence} for ${release.blades.length} blades`,
      canPublish
        ? "it has the fleet's key: `bladeroot release publish` works here"
        : "it has not the fleet's key: publishing takes --key or --sign-with",
    ];
    output.result({ url, release: release.sequence, canPublish }, text.join('\n'));
  });
}
