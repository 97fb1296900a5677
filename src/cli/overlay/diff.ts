import type { Command } from 'commander';
import {
  metadataChanges,
  octal,
  overlayChanges,
  patchOf,
  type OverlayChange,
  type Thing,
} from '../../overlay/changes.ts';
import { contextOf } from '../command.ts';
import { bytes } from '../output.ts';
import { bladeLeaf, withBladeRoot, type SnapshotOption } from './blade-root.ts';

export function diffCommand(signal: AbortSignal): Command {
  return bladeLeaf('diff', "show what a blade's configuration changes against the image", [
    'bladeroot overlay diff web01',
    'bladeroot overlay diff web01 --snapshot debian',
  ]).action(async (blade: string, options: SnapshotOption, command: Command) => {
    const context = contextOf(command, signal);
    await withBladeRoot(context, blade, options, async (root, image) => {
      const changes = await overlayChanges(root.entries(), image);
      context.output.result(changes.map(asJson), asText(changes));
    });
  });
}

function asText(changes: readonly OverlayChange[]): string {
  const counts = (['added', 'changed', 'deleted'] as const).map(
    (kind) => `${changes.filter((change) => kindOf(change) === kind).length} ${kind}`,
  );
  return [...changes.map(describe), counts.join(', ')].join('\n');
}

function describe(change: OverlayChange): string {
  const { path, origin, before, after } = change;
  const shown = after ?? before;
  const facts = before === undefined || after === undefined ? [] : metadataChanges(before, after);
  const what = [typeOf(shown), ...(before === undefined ? modeOf(after) : facts)].join(', ');
  const head = `${kindOf(change).padEnd(8)} /${path} (${what}; ${origin})`;
  const patch = after === undefined ? '' : patchOf(change);
  if (patch === undefined) return `${head}\n  binary, ${bytes(after?.size ?? 0)}\n`;
  return patch === '' ? head : `${head}\n${patch}`;
}

function typeOf(thing: Thing | undefined): string {
  return thing?.secret === true ? 'secret' : (thing?.type ?? '');
}

function modeOf(thing: Thing | undefined): string[] {
  return thing === undefined || thing.type === 'symlink'
    ? []
    : [`${octal(thing.mode)} ${thing.uid}:${thing.gid}`];
}

function kindOf({ before, after }: OverlayChange): 'added' | 'changed' | 'deleted' {
  if (after === undefined) return 'deleted';
  return before === undefined ? 'added' : 'changed';
}

function asJson(change: OverlayChange): object {
  const { path, origin, before, after } = change;
  const patch = after === undefined ? undefined : patchOf(change);
  return {
    path,
    change: kindOf(change),
    origin,
    ...(before === undefined ? {} : { before: thingAsJson(before) }),
    ...(after === undefined ? {} : { after: thingAsJson(after) }),
    ...(patch === undefined || patch === '' ? {} : { patch }),
  };
}

function thingAsJson({ type, mode, uid, gid, size, target, secret }: Thing): object {
  const common = { mode: octal(mode), uid, gid };
  if (secret === true) return { type: 'secret', ...common };
  return { type, ...common, size, ...(target === undefined ? {} : { target }) };
}
