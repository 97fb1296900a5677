import { InvalidArgumentError, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BladerootError, errorCode } from '../../errors.ts';
import { bootsOf, type Boot } from '../../events/boots.ts';
import type { RecordedEvent } from '../../events/catalogue.ts';
import { outcomeOf, type Outcome } from '../../events/stopped.ts';
import { describeEvent } from '../../events/wording.ts';
import { expandHosts, HOST_LIST_HELP, isHostPattern } from '../../fleet/host-list.ts';
import { loadFleet } from '../../fleet/load.ts';
import { parseMac } from '../../net/mac.ts';
import { DATABASE, openDatabase } from '../../state/database.ts';
import { EventRepository } from '../../state/events.ts';
import { contextOf, leaf } from '../command.ts';

const SHOWN = 5;

/** A boot as `--json` prints it; times in milliseconds, `time` and `began` since 1970. */
interface ToldBoot {
  machine: string;
  began: number;
  outcome: Outcome;
  /** `since` the boot began; `took` since the step before. */
  steps: { time: number; since: number; took: number; text: string; event: RecordedEvent }[];
}

export function bootsCommand(signal: AbortSignal): Command {
  return leaf(
    'boots',
    "tell a machine's boots, the newest last: each step, how long it took, where it stopped",
    [
      'bladeroot blade boots web01',
      'bladeroot blade boots web01 --last 1',
      'bladeroot blade boots web[01-20] --last 1',
      'bladeroot blade boots 52:54:00:12:34:56   # a machine that is no blade yet',
    ],
  )
    .argument('<blades...>', `${HOST_LIST_HELP}; or the MAC of any machine`)
    .option('--last <count>', 'how many boots of each', parseCount, SHOWN)
    .action(async (words: string[], options: { last: number }, command: Command) => {
      const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
      const machines = await machinesOf(words, fleetDirectory);
      const boots = machines.map((machine) => tellBoots(readEvents(stateDirectory, machine), Date.now()));
      if (boots.every((some) => some.length === 0)) {
        throw new BladerootError('NO_BOOTS', `no boot of ${words.join(' ')} is known here`, {
          hint: 'a machine is known once it has asked this root for an address: is `bladeroot serve` running, and on its wire?',
        });
      }
      output.result(
        boots.flatMap((some) => some.slice(-options.last)),
        boots
          .flatMap((some) => some.map((boot, index) => bootText(boot, index + 1)).slice(-options.last))
          .join('\n\n'),
      );
    });
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a number from 1 on.');
}

/** A blade that is named plainly may have left the fleet: what happened to it is told all the same. */
async function machinesOf(words: readonly string[], fleetDirectory: string): Promise<string[]> {
  const macs = words.flatMap((word) => macOf(word) ?? []);
  const names = words.filter((word) => macOf(word) === undefined);
  const blades = names.some(isHostPattern) ? expandHosts(names, await loadFleet(fleetDirectory)) : names;
  return [...macs, ...blades];
}

/** A MAC in any of its spellings, as it stands in events. */
function macOf(text: string): string | undefined {
  try {
    return parseMac(text);
  } catch (error) {
    if (errorCode(error) === 'BAD_MAC') return undefined;
    throw error;
  }
}

function readEvents(stateDirectory: string, machine: string): RecordedEvent[] {
  if (!existsSync(join(stateDirectory, DATABASE))) return [];
  const database = openDatabase(stateDirectory);
  try {
    return new EventRepository(database).ofMachine(machine);
  } finally {
    database.close();
  }
}

function tellBoots(events: RecordedEvent[], now: number): ToldBoot[] {
  const boots = bootsOf(events);
  return boots.map((boot, index) => tellBoot(boot, now, index < boots.length - 1));
}

function tellBoot(boot: Boot, now: number, superseded: boolean): ToldBoot {
  const began = boot.events[0]?.time ?? now;
  const steps = boot.events.map((event, index) => ({
    time: event.time,
    since: event.time - began,
    took: event.time - (boot.events[index - 1]?.time ?? event.time),
    text: describeEvent(event),
    event,
  }));
  return { machine: boot.machine, began, outcome: outcomeOf(boot, now, superseded), steps };
}

function bootText({ machine, began, outcome, steps }: ToldBoot, number: number): string {
  const heading = `${machine}, boot ${number}, ${localTime(began)}: ${outcomeText(outcome)}`;
  const lines = steps.map(
    ({ since, took, text }) => `${seconds(since).padStart(10)}  ${`+${seconds(took)}`.padStart(10)}  ${text}`,
  );
  const causes =
    outcome.kind === 'stopped' ? ['  usual causes:', ...outcome.causes.map((cause) => `  - ${cause}`)] : [];
  return [heading, ...lines, ...causes].join('\n');
}

function outcomeText(outcome: Outcome): string {
  if (outcome.kind === 'up') return `up after ${seconds(outcome.after)}`;
  return outcome.kind === 'stopped' ? `STOPPED: ${outcome.where}` : 'under way';
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds < 100_000 ? 2 : 0)} s`;
}

/** `2026-11-22 21:04:05` where this machine is. */
function localTime(time: number): string {
  return new Date(time).toLocaleString('sv-SE');
}
