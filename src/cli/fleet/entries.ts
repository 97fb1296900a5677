/** The commands that blades and profiles have in common: add, set, unset, rm. */
import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { FOLDER_OF } from '../../fleet/differences.ts';
import { fieldNamed, type Noun } from '../../fleet/fields.ts';
import { expandHosts, HOST_LIST_HELP, requireProfile } from '../../fleet/host-list.ts';
import type { Fleet } from '../../fleet/schema.ts';
import { contextOf, leaf } from '../command.ts';
import { editFleet } from './edit-fleet.ts';
import { givenFields, withFieldOptions } from './field-options.ts';

const WITHOUT_QUESTION = 'do it without a question';

/** What the argument for one or several of a noun says in the help. */
const NAMES_HELP: Readonly<Record<Noun, string>> = { blade: HOST_LIST_HELP, profile: 'names of profiles' };

export function setCommand(noun: Noun, signal: AbortSignal): Command {
  const examples = {
    blade: [
      'bladeroot blade set web01 --boot-timeout 5',
      'bladeroot blade set web[01-20] --profile web --profile shop --vars rack=3',
    ],
    profile: [
      'bladeroot profile set web --services-start nginx --services-start php8.2-fpm',
      'bladeroot profile set web --vars port=8080 -y',
    ],
  };
  const command = leaf('set', `give ${noun}s values: shows what changes, and asks`, examples[noun])
    .argument(`<${noun}s...>`, NAMES_HELP[noun])
    .option('-y, --yes', WITHOUT_QUESTION);
  return withFieldOptions(command, noun).action(
    async (words: string[], { yes }: { yes?: true }, command: Command) => {
      const fields = givenFields(command, noun);
      if (fields.length === 0) command.error(`error: say what to set, such as ${examples[noun][0]}`);
      const edit = ({ fleet }: { fleet: Fleet }) =>
        namesOf(noun, words, fleet).flatMap((name) =>
          fields.map(({ path, value }) => ({ path: [FOLDER_OF[noun], name, ...path], value })),
        );
      await editFleet(contextOf(command, signal), edit, { ask: yes !== true });
    },
  );
}

export function unsetCommand(noun: Noun, signal: AbortSignal): Command {
  const examples = {
    blade: ['bladeroot blade unset web01 boot.timeout', 'bladeroot blade unset @all vars.rack -y'],
    profile: ['bladeroot profile unset web services.start', 'bladeroot profile unset web vars.port -y'],
  };
  return leaf('unset', `take values of its own from a ${noun}: shows what changes, and asks`, examples[noun])
    .argument(`<${noun}>`, NAMES_HELP[noun])
    .argument('<fields...>', 'fields such as boot.timeout, vars.rack')
    .option('-y, --yes', WITHOUT_QUESTION)
    .action(async (word: string, names: string[], { yes }: { yes?: true }, command: Command) => {
      const paths = names.map((name) => fieldNamed(noun, name).path);
      const edit = ({ fleet }: { fleet: Fleet }) =>
        namesOf(noun, [word], fleet).flatMap((name) =>
          paths.map((path) => ({ path: [FOLDER_OF[noun], name, ...path] })),
        );
      await editFleet(contextOf(command, signal), edit, { ask: yes !== true });
    });
}

export function removeCommand(noun: Noun, signal: AbortSignal): Command {
  const examples = {
    blade: ['bladeroot blade rm web20', 'bladeroot blade rm web[18-20] -y'],
    profile: ['bladeroot profile rm shop'],
  };
  return leaf('rm', `take ${noun}s out of the fleet: shows what they were, and asks`, examples[noun])
    .argument(`<${noun}s...>`, NAMES_HELP[noun])
    .option('-y, --yes', WITHOUT_QUESTION)
    .action(async (words: string[], { yes }: { yes?: true }, command: Command) => {
      const edit = ({ fleet }: { fleet: Fleet }) =>
        namesOf(noun, words, fleet).map((name) => ({ path: [FOLDER_OF[noun], name] }));
      await editFleet(contextOf(command, signal), edit, { ask: yes !== true });
    });
}

/** @throws BladerootError `NAME_TAKEN` */
export function requireNew(noun: Noun, name: string, fleet: Fleet): void {
  if (!Object.hasOwn(fleet[FOLDER_OF[noun]], name)) return;
  throw new BladerootError('NAME_TAKEN', `there is a ${noun} ${name} already`, {
    hint: `choose another name, or change it with \`bladeroot ${noun} set ${name}\``,
  });
}

function namesOf(noun: Noun, words: readonly string[], fleet: Fleet): string[] {
  if (noun === 'blade') return expandHosts(words, fleet);
  for (const word of words) requireProfile(fleet, word);
  return [...new Set(words)];
}
