/** Writes a new blade into the fleet folder. */
import type { Command } from 'commander';
import { entryOf } from '../../fleet/fields.ts';
import { contextOf, leaf } from '../command.ts';
import { editFleet } from '../fleet/edit-fleet.ts';
import { requireNew } from '../fleet/entries.ts';
import { givenFields, withFieldOptions, type GivenField } from '../fleet/field-options.ts';
import { nextAddress } from './next-address.ts';

export function addCommand(signal: AbortSignal): Command {
  const command = leaf(
    'add',
    'add a blade to the fleet folder; its address is the next free one when left out',
    [
      'bladeroot blade add web03 --mac 52:54:00:12:34:56 --profile web',
      'bladeroot blade add db01 --serial 4QX0P33 --address 10.77.0.31 --vars rack=3',
    ],
  ).argument('<name>', 'the name of the blade, which is its host name');
  return withFieldOptions(command, 'blade').action(async (name: string, _options, command: Command) => {
    const given = givenFields(command, 'blade');
    await editFleet(
      contextOf(command, signal),
      ({ fleet }) => {
        requireNew('blade', name, fleet);
        const hasAddress = given.some(({ path }) => path[0] === 'address');
        const fields = hasAddress ? given : withAddress(given, nextAddress(fleet));
        return [{ path: ['blades', name], value: entryOf(fields) }];
      },
      { ask: false },
    );
  });
}

/** Behind what says which machine it is. */
function withAddress([first, ...rest]: readonly GivenField[], address: string): GivenField[] {
  return [...(first === undefined ? [] : [first]), { path: ['address'], value: address }, ...rest];
}
