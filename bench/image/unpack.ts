import { contest, type Entrant } from './contest.ts';
import { ours } from './ours.ts';
import { casync, squashfs, tarZstd } from './peers.ts';
import { memoryRow, timeRows, type PartReport } from '../report.ts';
import { packOnce, unpacking, type Setting } from './setting.ts';

/** Unpacking into an empty directory, on all cores and on one. */
export async function benchUnpack(setting: Setting): Promise<PartReport> {
  for (const archiver of [ours, tarZstd, squashfs, casync]) await packOnce(archiver, setting);
  const all = await contest(
    'unpack',
    unpacking(ours, setting),
    [{ ...unpacking(tarZstd, setting), goal: 1.1 }, unpacking(squashfs, setting), unpacking(casync, setting)],
    setting,
  );
  const one = await contest(
    'unpack on one core',
    onOneCore(unpacking(ours, setting)),
    [onOneCore(unpacking(tarZstd, setting))],
    setting,
  );
  return {
    contests: { unpack: all, unpackOnOneCore: one },
    rows: [
      ...timeRows('unpack', all),
      ...timeRows('unpack on one core', one),
      memoryRow('memory, unpack', all),
    ],
  };
}

function onOneCore(entrant: Entrant): Entrant {
  return { ...entrant, command: ['taskset', '--cpu-list', '0', ...entrant.command] };
}
