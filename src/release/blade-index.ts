/** A release's blades, looked up once for all who ask in a storm. */
import type { ReleaseBlade, ReleaseStatement } from './statement.ts';

export interface BladeIndex {
  byName: ReadonlyMap<string, ReleaseBlade>;
  byAddress: ReadonlyMap<string, ReleaseBlade>;
  /** Those that fleet.yaml names by their MAC. */
  byMac: ReadonlyMap<string, ReleaseBlade>;
}

const known = new WeakMap<ReleaseStatement, BladeIndex>();

export function bladeIndex(release: ReleaseStatement): BladeIndex {
  let index = known.get(release);
  if (index === undefined) {
    const { blades } = release;
    index = {
      byName: new Map(blades.map((blade) => [blade.name, blade])),
      byAddress: new Map(blades.map((blade) => [blade.address, blade])),
      byMac: new Map(blades.flatMap((blade) => (blade.mac === undefined ? [] : [[blade.mac, blade]]))),
    };
    known.set(release, index);
  }
  return index;
}
