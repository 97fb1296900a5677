import type { Command } from 'commander';
import { octal } from '../../overlay/changes.ts';
import { isSecret, type OverlayEntry } from '../../overlay/entry.ts';
import { contextOf } from '../command.ts';
import { table } from '../output.ts';
import { bladeLeaf, withBladeRoot, type SnapshotOption } from './blade-root.ts';

export function listCommand(signal: AbortSignal): Command {
  return bladeLeaf('list', 'list all that is laid over the image for a blade, and where it comes from', [
    'bladeroot overlay list web01',
    'bladeroot overlay list web01 --json',
  ]).action(async (blade: string, options: SnapshotOption, command: Command) => {
    const context = contextOf(command, signal);
    await withBladeRoot(context, blade, options, async (root) => {
      const entries = root.entries();
      const rows = entries.map((entry) => [
        typeOf(entry),
        entry.type === 'file' || entry.type === 'dir' ? octal(entry.mode) : '',
        entry.type === 'whiteout' ? '' : `${entry.uid}:${entry.gid}`,
        shownPath(entry),
        entry.origin,
      ]);
      context.output.result(entries.map(asJson), table(['TYPE', 'MODE', 'OWNER', 'PATH', 'ORIGIN'], rows));
    });
  });
}

function typeOf(entry: OverlayEntry): string {
  if (isSecret(entry)) return 'secret';
  return entry.type === 'whiteout' ? 'deleted' : entry.type;
}

function shownPath(entry: OverlayEntry): string {
  return entry.type === 'symlink' ? `/${entry.path} → ${entry.target}` : `/${entry.path}`;
}

function asJson(entry: OverlayEntry): object {
  const { path, origin, mode, uid, gid } = entry;
  if (entry.type === 'whiteout') return { path, type: 'deleted', origin };
  if (entry.type === 'symlink') return { path, type: entry.type, target: entry.target, origin };
  if (isSecret(entry)) return { path, type: 'secret', mode: octal(mode), uid, gid, origin };
  const bytes = entry.type === 'file' ? { bytes: entry.content.length } : {};
  return { path, type: entry.type, mode: octal(mode), uid, gid, ...bytes, origin };
}
