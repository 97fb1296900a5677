/** The command line: nouns and verbs. Exit status 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. */
import { Command, CommanderError } from 'commander';
import { describeError, errorCode } from '../errors.ts';
import { withExamples } from './command.ts';
import { VERSION } from './version.ts';
import { isBundled } from '../system/asset.ts';

const USAGE = 2;
const INTERRUPTED = 130;

/** Loaded when they are needed: what a command uses is most of the time that it takes to start. */
const COMMANDS: Readonly<Record<string, (signal: AbortSignal) => Promise<Command>>> = {
  init: async (signal) => (await import('./init.ts')).initCommand(signal),
  tree: async (signal) => (await import('./tree.ts')).treeCommands(signal),
  snapshot: async (signal) => (await import('./snapshot.ts')).snapshotCommands(signal),
  blade: async (signal) => (await import('./blade.ts')).bladeCommands(signal),
  profile: async (signal) => (await import('./profile.ts')).profileCommands(signal),
  overlay: async (signal) => (await import('./overlay.ts')).overlayCommands(signal),
  secret: async (signal) => (await import('./secret.ts')).secretCommands(signal),
  fleet: async (signal) => (await import('./fleet.ts')).fleetCommands(signal),
  release: async (signal) => (await import('./release.ts')).releaseCommands(signal),
  initrd: async (signal) => (await import('./initrd.ts')).initrdCommands(signal),
  key: async (signal) => (await import('./key.ts')).keyCommands(signal),
  boot: async (signal) => (await import('./boot.ts')).bootCommands(signal),
  doctor: async (signal) => (await import('./doctor.ts')).doctorCommand(signal),
  serve: async (signal) => (await import('./serve.ts')).serveCommand(signal),
  promote: async (signal) => (await import('./promote.ts')).promoteCommand(signal),
  standby: async (signal) => (await import('./standby.ts')).standbyCommand(signal),
};

/** The lab runs from the sources: it is no part of what a blade carries (tree/program.ts leaves it out). */
const SOURCE_COMMANDS: typeof COMMANDS = {
  lab: async (signal) => (await import('./lab.ts')).labCommands(signal),
};

/** The one that is named, or all of them, for the help and for what is misspelt. */
function commandsFor(name: string | undefined): ((signal: AbortSignal) => Promise<Command>)[] {
  const all = isBundled ? COMMANDS : { ...COMMANDS, ...SOURCE_COMMANDS };
  const named = name !== undefined && Object.hasOwn(all, name) ? all[name] : undefined;
  return named === undefined ? Object.values(all) : [named];
}

async function program(signal: AbortSignal): Promise<Command> {
  const root = new Command('bladeroot').description(
    'Runs a fleet of alike servers from one golden root filesystem; every server can be the root.',
  );
  root.version(VERSION, '-V, --version', 'print the version');
  for (const load of commandsFor(process.argv[2])) root.addCommand(await load(signal));
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
  process.stdout.on('error', (error) => {
    // Who reads what is printed has stopped reading, as `head` does.
    if (errorCode(error) !== 'EPIPE') throw error;
    stop();
  });
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
