import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { changeFivePercent } from './changed-tree.ts';
import { perform } from './command.ts';
import { contest, type Contest, type Entrant } from './contest.ts';
import { ours, packCommand, packTree, unpackCommand } from './ours.ts';
import { copyTo, empty } from '../folder.ts';
import { memoryRow, timeRows, type PartReport } from '../report.ts';
import { homeOf, packOnce, type Setting } from './setting.ts';

/** Laying a new snapshot over the tree of the old one, and packing a real upgrade. */
export async function benchUpdate(setting: Setting): Promise<PartReport> {
  await packOnce(ours, setting);
  const update = await contestOfUpdate(setting);
  const packing = await contestOfPacking(setting);
  return {
    contests: { update, packAnUpdate: packing },
    rows: [
      ...timeRows('update of a tree, 5 % changed', update),
      memoryRow('memory, update of a tree', update),
      memoryRow('memory, pack an upgrade', packing),
    ],
  };
}

async function contestOfUpdate(setting: Setting): Promise<Contest> {
  const { work, trees, signal } = setting;
  const changed = join(work, 'changed', 'root');
  const state = join(work, 'changed', 'state');
  const directory = join(work, 'unpacked');
  await mkdir(join(work, 'changed'), { recursive: true });
  const { files, bytes } = await changeFivePercent(trees.before.root, changed, signal);
  setting.onProgress(`changed ${files} files, ${(bytes / 1e6).toFixed(0)} MB`);
  await copyTo(homeOf(ours, setting), state, signal);
  const { id } = await packTree(changed, state, { signal });

  const full: Entrant = {
    name: 'full unpack',
    command: unpackCommand(id, state, directory),
    prepare: () => empty(directory),
    goal: 0.25,
  };
  const overOld: Entrant = {
    name: 'over the old tree',
    command: full.command,
    prepare: async () => {
      await empty(directory);
      await perform(ours.unpack(homeOf(ours, setting), directory), { signal });
    },
  };
  return await contest('update', overOld, [full], setting);
}

async function contestOfPacking(setting: Setting): Promise<Contest> {
  const state = join(setting.work, 'upgraded');
  const entrant: Entrant = {
    name: ours.name,
    command: packCommand(setting.trees.after.root, state),
    prepare: () => copyTo(homeOf(ours, setting), state, setting.signal),
  };
  return await contest('pack an upgrade', entrant, [], { ...setting, rounds: 1 });
}
