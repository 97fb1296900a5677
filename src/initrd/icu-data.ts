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
 * behind them. A program that has no such data in it, or others than these, stays as it is.
 * @param keep by name, such as `curr/de.res`
 */
export function thinIcuData(program: Buffer, keep: (name: string) => boolean): Buffer {
  const start = findPackage(program);
  if (start === undefined) return program;
  const items = readContents(program, start);
  const first = items[0];
  const last = items.at(-1);
  if (first === undefined || last === undefined) return program;

  const thinned = Buffer.from(program);
  // How long the last item is, nobody says: it stays where it is, and in the table only if it is kept.
  const end = start + last.dataOffset;
  thinned.fill(0, start + first.dataOffset, end);
  let count = 0;
  let offset = first.dataOffset;
  for (const item of items) {
    if (!keep(item.name)) continue;
    const dataOffset = item === last ? last.dataOffset : offset;
    if (item !== last) item.data.copy(thinned, start + offset);
    thinned.writeUInt32LE(item.nameOffset, start + 4 + 8 * count);
    thinned.writeUInt32LE(dataOffset, start + 8 + 8 * count);
    count++;
    offset = Math.ceil((offset + item.data.length) / ALIGNMENT) * ALIGNMENT;
  }
  thinned.writeUInt32LE(count, start);
  return thinned;
}

/** Of each item; ICU reads words of them. */
const ALIGNMENT = 16;

/** `DataHeader` of udata.h, behind its length: magic, length of the rest, little endian, ASCII, UTF-16, the format, 1. */
const HEADER = Buffer.from('da271400000000000200436d6e4401000000', 'hex');

/** Where the table of contents begins. */
function findPackage(program: Buffer): number | undefined {
  const magic = program.indexOf(HEADER);
  return magic < 2 ? undefined : magic - 2 + program.readUInt16LE(magic - 2);
}

function readContents(program: Buffer, start: number): Item[] {
  const count = program.readUInt32LE(start);
  const entries = Array.from({ length: count }, (_, index) => {
    const at = start + 4 + 8 * index;
    return { nameOffset: program.readUInt32LE(at), dataOffset: program.readUInt32LE(at + 4) };
  });
  return entries.map(({ nameOffset, dataOffset }, index) => {
    const name = program.toString('latin1', start + nameOffset, program.indexOf(0, start + nameOffset));
    const end = entries[index + 1]?.dataOffset ?? dataOffset;
    return {
      nameOffset,
      dataOffset,
      name: name.slice(name.indexOf('/') + 1),
      data: program.subarray(start + dataOffset, start + end),
    };
  });
}
