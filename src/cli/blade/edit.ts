/** A blade's YAML in the editor of the person at the terminal. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { BladerootError, describeError } from '../../errors.ts';
import { bladeText } from '../../fleet/blade-text.ts';
import { proposeEdit, type Edit } from '../../fleet/edit-folder.ts';
import { expandHosts } from '../../fleet/host-list.ts';
import { loadFolder, readFleetFiles } from '../../fleet/load.ts';
import { runInteractive } from '../../system/run.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { confirm, isTerminal } from '../fleet/confirm.ts';
import { editFleet } from '../fleet/edit-fleet.ts';

export function editCommand(signal: AbortSignal): Command {
  return leaf('edit', "change a blade's YAML in your editor (VISUAL, EDITOR, else vi)", [
    'bladeroot blade edit web01',
    'EDITOR=nano bladeroot blade edit web01',
  ])
    .argument('<blade>', 'the blade')
    .action(async (name: string, _options, command: Command) => {
      const context = contextOf(command, signal);
      const { fleet, source } = await loadFolder(context.fleetDirectory);
      expandHosts([name], fleet);
      const { texts } = await readFleetFiles(context.fleetDirectory);
      const { text } = bladeText(texts, source, name);
      // Of this user alone: a blade may say the hash of a password.
      const path = join(await mkdtemp(join(tmpdir(), 'bladeroot-edit-')), `${name}.yaml`);
      await writeFile(path, text, { mode: 0o600 });
      await editUntilRight(context, name, { path, text });
      await rm(dirname(path), { recursive: true });
    });
}

/** @throws BladerootError when the person gives up; what was written stays where the error says it is */
async function editUntilRight(
  context: Context,
  name: string,
  { path, text }: { path: string; text: string },
): Promise<void> {
  for (;;) {
    await openEditor(path);
    const written = await readFile(path, 'utf8');
    const edit: Edit = ({ source }, { texts }) => {
      const now = bladeText(texts, source, name);
      if (now.text !== text) {
        throw new BladerootError('CHANGED_MEANWHILE', `${name} has been changed by somebody else meanwhile`, {
          hint: `what you wrote is in ${path}`,
        });
      }
      return new Map(written === text ? [] : [[now.file, now.put(written)]]);
    };
    try {
      await proposeEdit(context.fleetDirectory, edit);
    } catch (error) {
      if (!(error instanceof BladerootError) || !MENDABLE.has(error.code)) throw error;
      const again = isTerminal() && (await askAgain(error, context));
      if (again) continue;
      throw new BladerootError(error.code, error.message, {
        hint: `the fleet folder is as it was, what you wrote is in ${path}`,
        cause: error,
      });
    }
    await editFleet(context, edit, { ask: false });
    return;
  }
}

/** What another look at the text can mend. */
const MENDABLE = new Set(['BAD_EDIT', 'BAD_BLADE_TEXT', 'FLEET_INVALID']);

async function askAgain(error: BladerootError, { output, signal }: Context): Promise<boolean> {
  output.step(describeError(error));
  return await confirm('back to the editor?', signal, 'y');
}

async function openEditor(path: string): Promise<void> {
  const words = (process.env['VISUAL'] || process.env['EDITOR'] || 'vi')
    .split(/\s+/)
    .filter((word) => word !== '');
  const [program = 'vi', ...args] = words;
  const status = await runInteractive(program, [...args, path]);
  if (status === 0) return;
  throw new BladerootError('EDITOR_FAILED', `${program} ended with status ${status}`, {
    hint: `the fleet folder is as it was, what you wrote is in ${path}`,
  });
}
