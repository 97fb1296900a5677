import type { Command } from 'commander';
import { stringify } from 'yaml';
import { entryAt } from '../fleet/edit.ts';
import { entryOf } from '../fleet/fields.ts';
import { foldHosts, requireProfile } from '../fleet/host-list.ts';
import { loadFleet, loadFolder } from '../fleet/load.ts';
import { resolveFleet } from '../fleet/resolve.ts';
import { contextOf, leaf, noun } from './command.ts';
import { editFleet } from './fleet/edit-fleet.ts';
import { removeCommand, requireNew, setCommand, unsetCommand } from './fleet/entries.ts';
import { givenFields, withFieldOptions } from './fleet/field-options.ts';
import { table } from './output.ts';

export function profileCommands(signal: AbortSignal): Command {
  return noun('profile', 'what blades of a kind share', [
    list(signal),
    show(signal),
    add(signal),
    setCommand('profile', signal),
    unsetCommand('profile', signal),
    removeCommand('profile', signal),
  ]);
}

function list(signal: AbortSignal): Command {
  return leaf('list', 'list the profiles, and which blades have them, also by what profiles extend', [
    'bladeroot profile list',
  ]).action(async (_options, command: Command) => {
    const { fleetDirectory, output } = contextOf(command, signal);
    const fleet = await loadFleet(fleetDirectory);
    const blades = resolveFleet(fleet);
    const profiles = Object.entries(fleet.profiles).map(([name, profile]) => ({
      name,
      extends: profile.extends ?? [],
      blades: blades.filter(({ profiles }) => profiles.includes(name)).map((blade) => blade.name),
    }));
    const rows = profiles.map((profile) => [
      profile.name,
      profile.extends.join(' '),
      String(profile.blades.length),
      foldHosts(profile.blades),
    ]);
    const text = rows.length === 0 ? 'no profiles' : table(['PROFILE', 'EXTENDS', 'COUNT', 'BLADES'], rows);
    output.result(profiles, text);
  });
}

function show(signal: AbortSignal): Command {
  return leaf('show', 'show what a profile itself says', ['bladeroot profile show web'])
    .argument('<name>', 'the profile')
    .action(async (name: string, _options, command: Command) => {
      const { fleetDirectory, output } = contextOf(command, signal);
      const { fleet, source } = await loadFolder(fleetDirectory);
      requireProfile(fleet, name);
      const profile = entryAt(source.data, 'profiles', name);
      output.result(profile, stringify(profile).trimEnd());
    });
}

function add(signal: AbortSignal): Command {
  const command = leaf('add', 'add a profile to the fleet folder', [
    'bladeroot profile add web --services-start nginx --overlays web',
    'bladeroot profile add shop --extends web',
  ]).argument('<name>', 'the name of the profile');
  return withFieldOptions(command, 'profile').action(async (name: string, _options, command: Command) => {
    const value = entryOf(givenFields(command, 'profile'));
    await editFleet(
      contextOf(command, signal),
      ({ fleet }) => {
        requireNew('profile', name, fleet);
        return [{ path: ['profiles', name], value }];
      },
      { ask: false },
    );
  });
}
