import { once } from 'node:events';
import type { Command } from 'commander';
import { pino } from 'pino';
import { SERVE_USER } from '../daemon/privileges.ts';
import { startRoot } from '../daemon/root.ts';
import { describeError } from '../errors.ts';
import { contextOf, leaf } from './command.ts';

export function serveCommand(signal: AbortSignal): Command {
  return leaf('serve', 'be the root: answer DHCP, TFTP and HTTP until stopped', [
    "bladeroot serve                     # on all interfaces that are in the fleet's networks",
    'bladeroot serve --interface eno1',
    'bladeroot serve --json              # every event as a line of JSON on stdout',
  ])
    .option('--interface <name...>', 'the network interface, or several')
    .option('--user <name>', 'whom to become once the ports are open; root keeps all rights', SERVE_USER)
    .action(async (options: { interface?: string[]; user: string }, command: Command) => {
      const { stateDirectory, json } = contextOf(command, signal);
      const print = printerOfLines();
      const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));
      const root = await startRoot({
        stateDirectory,
        interfaces: options.interface,
        user: options.user,
        onEvent: (event) => {
          if (json) print(JSON.stringify(event));
          else if (event.type !== 'blade.step' || event.state !== 'progress') log.info(event, event.type);
        },
        onError: (error, doing) => log.error({ doing }, describeError(error)),
      });
      try {
        log.info(
          { url: root.url, interfaces: root.interfaces, release: root.release },
          'serving; Ctrl-C ends it',
        );
        if (!signal.aborted) await once(signal, 'abort');
      } finally {
        await root.stop();
      }
    });
}

/** What is told at the same moment is one write. */
function printerOfLines(): (line: string) => void {
  let told = '';
  return (line) => {
    if (told === '') {
      process.nextTick(() => {
        process.stdout.write(told);
        told = '';
      });
    }
    told += `${line}\n`;
  };
}
