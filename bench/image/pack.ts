import { contest } from './contest.ts';
import { ours, packCommand, packedOf } from './ours.ts';
import { casync, squashfs, squashfsOwnLevel, tarZstd } from './peers.ts';
import { memoryRow, timeRows, type PartReport } from '../report.ts';
import { homeOf, packing, type Setting } from './setting.ts';

/** Packing a tree for the first time, and once more with nothing changed. */
export async function benchPack(setting: Setting): Promise<PartReport> {
  const tree = setting.trees.before;
  const first = await contest(
    'first pack',
    packing(ours, setting),
    [
      { ...packing(tarZstd, setting), goal: 1.2 },
      packing(squashfs, setting),
      packing(squashfsOwnLevel, setting),
      packing(casync, setting),
    ],
    setting,
  );
  const again = await contest(
    'pack again',
    {
      name: ours.name,
      command: packCommand(tree.root, homeOf(ours, setting)),
      prepare: () => Promise.resolve(),
    },
    [],
    setting,
  );
  return {
    contests: { first, again },
    rows: [
      ...timeRows('first pack', first),
      {
        what: 'pack again, nothing changed',
        unit: 'seconds',
        ours: again.ours.seconds,
        beside: 'first pack',
        theirs: first.ours.seconds,
        goal: 0.1,
      },
      {
        what: 'files read to pack again',
        unit: 'files',
        ours: packedOf(again.ours.stdout).filesRead,
        beside: 'files in the tree',
        theirs: tree.files,
        goal: 0,
      },
      memoryRow('memory, first pack', first),
    ],
  };
}
