/** What all commands have in common: their options, their signal, and how they end. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { Output } from './output.ts';

export interface Context {
  /** Absolute paths. */
  stateDirectory: string;
  fleetDirectory: string;
  output: Output;
  json: boolean;
  /** Aborted at Ctrl-C and SIGTERM. */
  signal: AbortSignal;
}

/** For an option that can be given again and again. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

const STATE = '/var/lib/bladeroot';
const FLEET = '/etc/bladeroot';

/** The examples of each command, so that its noun can show one of them. */
const EXAMPLES = new WeakMap<Command, string[]>();

/** Shows lines of a shell below a command's help. */
export function withExamples(command: Command, examples: string[]): Command {
  EXAMPLES.set(command, examples);
  return command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

/** A command with the options that every command has; `examples` are lines of a shell, with what they do behind `#`. */
export function leaf(name: string, description: string, examples: string[]): Command {
  const command = new Command(name)
    .description(description)
    .option('--state <dir>', `where trees, store, releases and keys are (BLADEROOT_STATE, else ${STATE})`)
    .option('--fleet <dir>', `the fleet folder (BLADEROOT_FLEET, else ${FLEET})`)
    .option('--json', 'print the result as JSON on stdout; progress goes to stderr in any case');
  return withExamples(command, examples);
}

export function contextOf(command: Command, signal: AbortSignal): Context {
  const options = command.opts<{ state?: string; fleet?: string; json?: boolean }>();
  const json = options.json === true;
  return {
    stateDirectory: resolve(options.state ?? process.env['BLADEROOT_STATE'] ?? STATE),
    fleetDirectory: resolve(options.fleet ?? process.env['BLADEROOT_FLEET'] ?? FLEET),
    output: new Output(json),
    json,
    signal,
  };
}

/** Several commands under one noun. */
export function noun(name: string, description: string, commands: Command[]): Command {
  const parent = new Command(name).description(description);
  for (const command of commands) parent.addCommand(command);
  return withExamples(
    parent,
    commands.flatMap((command) => EXAMPLES.get(command)?.slice(0, 1) ?? []),
  );
}
