/** How every command changes the fleet folder: it shows what changes, asks, and writes. */
import { isDeepStrictEqual } from 'node:util';
import { BladerootError } from '../../errors.ts';
import { lockFolder, proposeEdit, writeProposal, type Edit, type Proposal } from '../../fleet/edit-folder.ts';
import type { Context } from '../command.ts';
import { confirm } from './confirm.ts';
import { countText, differenceText } from './difference-text.ts';

/**
 * Shows what an edit changes, asks if it is to, and writes it. Nobody waits for the folder while a person thinks: when it
 * has been changed meanwhile, the person sees what comes of it now, and is asked again.
 * @throws BladerootError `NOT_CONFIRMED`, `NO_TERMINAL`, `BAD_EDIT`
 */
export async function editFleet(context: Context, edit: Edit, { ask }: { ask: boolean }): Promise<void> {
  const { fleetDirectory, output, signal } = context;
  for (;;) {
    const shown = await proposeEdit(fleetDirectory, edit);
    if (shown.edited.size === 0) {
      output.result({ changes: [], files: [] }, 'nothing changes: it is so already');
      return;
    }
    if (shown.differences.length > 0) output.step(differenceText(shown.differences));
    if (ask && !(await confirm('change the fleet so?', signal))) {
      throw new BladerootError('NOT_CONFIRMED', 'nothing is changed');
    }
    const written = await writeUnlessChanged(context, edit, ask ? shown : undefined);
    if (written !== undefined) {
      const files = [...written.edited.keys()];
      const what = countText(written.differences) || 'changed';
      output.result({ changes: written.differences, files }, `${what} in ${filesText(files)}`);
      return;
    }
    output.step('the fleet folder has been changed meanwhile; what comes of it now:');
  }
}

/** @returns undefined, and nothing is written, where what comes of the edit is not what was agreed to */
async function writeUnlessChanged(
  { fleetDirectory, signal }: Context,
  edit: Edit,
  agreed: Proposal | undefined,
): Promise<Proposal | undefined> {
  const unlock = await lockFolder(fleetDirectory, signal);
  try {
    const proposal = await proposeEdit(fleetDirectory, edit);
    if (agreed !== undefined && !isDeepStrictEqual(agreed.differences, proposal.differences))
      return undefined;
    await writeProposal(fleetDirectory, proposal);
    return proposal;
  } finally {
    await unlock();
  }
}

function filesText(files: readonly string[]): string {
  return files.length > 3 ? `${files.length} files` : files.join(', ');
}
