/**
 * ICU's data, as they are linked into Node: one package of some four thousand items, for the languages and the character
 * sets of the whole world. Its format: icu/source/common/ucmndata.h, "CmnD" version 1.
 */

/** An item of the package, by its name without that of the package: `curr/de.res`. */
interface Item {
  /** Of its name and of its data, from where the table of contents begins. */
  nameOffset: number;
  dataOffset: number;
  name: string;
  data: Buffer;
}

/**
 * A program with only those items of its ICU data that are kept, moved together; zeros, which compress to nothing, are
 * behind them. A program that has no such data in it, or none that look as they should, stays as it is.
 * @param keep by name, such as `curr/de.res`
 */
export function thinIcuData(program: Buffer, keep: (name: string) => boolean): Buffer {
  const start = findPackage(program);
  const items = start === undefined ? undefined : readContents(program, start);
  const [first, last] = [items?.[0], items?.at(-1)];
  if (start === undefined || items === undefined || first === undefined || last === undefined) return program;

  const thinned = Buffer.from(program);
  // How long the last item is, nobody says: it stays where it is, and in the table only if it is kept.
  thinned.fill(0, start + first.dataOffset, start + last.dataOffset);
  let offset = first.dataOffset;
  const kept = items.filter(({ name }) => keep(name));
  for (const [index, item] of kept.entries()) {
    thinned.writeUInt32LE(item.nameOffset, start + COUNT_BYTES + ENTRY_BYTES * index);
    thinned.writeUInt32LE(
      item === last ? last.dataOffset : offset,
      start + COUNT_BYTES + ENTRY_BYTES * index + 4,
    );
    if (item === last) continue;
    item.data.copy(thinned, start + offset);
    offset = Math.ceil((offset + item.data.length) / ALIGNMENT) * ALIGNMENT;
  }
  thinned.writeUInt32LE(kept.length, start);
  return thinned;
}

/** The table of contents: how many items there are, and of each where its name and its data are. */
const COUNT_BYTES = 4;
const ENTRY_BYTES = 8;

/** Of each item's data; ICU reads words of them. */
const ALIGNMENT = 16;

/** `DataHeader` of udata.h, behind its length: magic, length of the rest, little endian, ASCII, UTF-16, the format, 1. */
const HEADER = Buffer.from('da271400000000000200436d6e4401000000', 'hex');

/** Where the table of contents begins. */
function findPackage(program: Buffer): number | undefined {
  const magic = program.indexOf(HEADER);
  return magic < 2 ? undefined : magic - 2 + program.readUInt16LE(magic - 2);
}

/** Undefined where they are not in their order, behind the table, and within the program. */
function readContents(program: Buffer, start: number): Item[] | undefined {
  if (start + COUNT_BYTES > program.length) return undefined;
  const count = program.readUInt32LE(start);
  const names = COUNT_BYTES + ENTRY_BYTES * count;
  if (start + names > program.length) return undefined;
  const items: Item[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + COUNT_BYTES + ENTRY_BYTES * index;
    const [nameOffset, dataOffset] = [program.readUInt32LE(at), program.readUInt32LE(at + 4)];
    const end = index + 1 < count ? program.readUInt32LE(at + ENTRY_BYTES + 4) : dataOffset;
    const nameEnd = program.indexOf(0, start + nameOffset);
    const inOrder = names <= nameOffset && nameEnd < start + dataOffset && dataOffset <= end;
    if (!inOrder || nameEnd < 0 || start + end > program.length) return undefined;
    const name = program.toString('latin1', start + nameOffset, nameEnd);
    const data = program.subarray(start + dataOffset, start + end);
    items.push({ nameOffset, dataOffset, name: name.slice(name.indexOf('/') + 1), data });
  }
  return items;
}
