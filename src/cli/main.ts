/** The command line: nouns and verbs. Exit status 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. */
import { Command, CommanderError } from 'commander';
import { describeError } from '../errors.ts';
import { bladeCommands } from './blade.ts';
import { withExamples } from './command.ts';
import { initCommand } from './init.ts';
import { promoteCommand } from './promote.ts';
import { releaseCommands } from './release.ts';
import { serveCommand } from './serve.ts';
import { snapshotCommands } from './snapshot.ts';
import { standbyCommand } from './standby.ts';
import { treeCommands } from './tree.ts';
import { VERSION } from './version.ts';
import { isBundled } from '../system/asset.ts';

const USAGE = 2;
const INTERRUPTED = 130;

async function program(signal: AbortSignal): Promise<Command> {
  const root = new Command('bladeroot').description(
    'Runs a fleet of alike servers from one golden root filesystem; every server can be the root.',
  );
  root.version(VERSION, '-V, --version', 'print the version');
  const commands = [
    initCommand(signal),
    treeCommands(signal),
    snapshotCommands(signal),
    bladeCommands(signal),
    releaseCommands(signal),
    serveCommand(signal),
    promoteCommand(signal),
    standbyCommand(signal),
    // The lab runs from the sources: it is no part of what a blade carries (tree/program.ts leaves it out).
    ...(isBundled ? [] : [(await import('./lab.ts')).labCommands(signal)]),
  ];
  for (const command of commands) root.addCommand(command);
  withExamples(root, [
    'bladeroot init                                   # once, on the first root',
    'bladeroot tree create debian --from debian',
    'bladeroot snapshot pack debian',
    'bladeroot release publish',
    'bladeroot serve',
  ]);
  everyCommand(root, (command) => void command.exitOverride().showHelpAfterError('(--help tells more)'));
  return root;
}

function everyCommand(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) everyCommand(child, change);
}

async function main(): Promise<number> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new Error('stopped'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const command = await program(stopped.signal);
    await command.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    if (stopped.signal.aborted) return INTERRUPTED;
    process.stderr.write(`bladeroot: ${describeError(error)}\n`);
    return 1;
  }
}

process.exitCode = await main();
