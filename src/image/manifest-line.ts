/** One line of a manifest: keys in a fixed order, defaults left out, bytes that are no text in base64. */
import { isDigest } from '../store/digest.ts';
import { MAX_OBJECT_SIZE } from '../store/frame.ts';
import type { Layer, ObjectRef } from '../store/pack-index.ts';
import { fromText, toBytes, toText } from './byte-path.ts';
import type { Extent, FileEntry, HardlinkEntry, ManifestEntry, Metadata } from './manifest.ts';

const NO_XATTRS: Metadata['xattrs'] = new Map();
const NO_OBJECTS: readonly ObjectRef[] = [];

/** Put together by hand: JSON.stringify on an object made for it takes several times as long. */
export function entryToLine(entry: ManifestEntry): string {
  const { path, type, layer } = entry;
  const place = `{${textField('path', path)},"type":"${type}"${layer === 'run' ? '' : ',"layer":"extra"'}`;
  if (type === 'hardlink') return `${place},${textField('target', entry.target)}}`;

  const { mode, uid, gid, mtime, xattrs } = entry;
  const owner = `${uid === 0 ? '' : `,"uid":${uid}`}${gid === 0 ? '' : `,"gid":${gid}`}`;
  const common = `${place},"mode":"${mode.toString(8).padStart(4, '0')}"${owner},"mtime":"${mtime}"`;
  return `${common}${ownFields(entry)}${xattrs.size === 0 ? '' : `,"xattrs":${encodeXattrs(xattrs)}`}}`;
}

/** What only things of this type have; each field behind its comma. */
function ownFields(entry: Exclude<ManifestEntry, HardlinkEntry>): string {
  switch (entry.type) {
    case 'file':
      return contentFields(entry);
    case 'symlink':
      return `,${textField('target', entry.target)}`;
    case 'char':
    case 'block':
      return `,"major":${entry.major},"minor":${entry.minor}`;
    default:
      return '';
  }
}

/**
 * Reads a line's values; that it has no others and is in the canonical form, the caller checks by writing it again. Not
 * with zod: a manifest has hundreds of thousands of lines, and this takes a tenth of the time.
 */
export function entryFromLine(json: string): ManifestEntry {
  const line = new Line(JSON.parse(json));
  const path = line.bytes('path');
  const layer: Layer = line.optional('layer') === undefined ? 'run' : line.oneOf('layer', ['extra']);
  const type = line.oneOf('type', ['file', 'dir', 'symlink', 'hardlink', 'char', 'block', 'fifo']);
  if (type === 'hardlink') return { path, layer, type, target: line.target() };

  // All fields by name: what is put together by spreading takes twice the memory, and there are many entries.
  const { mode, uid, gid, mtime, xattrs } = metadataOf(line);
  switch (type) {
    case 'file': {
      const { size, objects, extents } = contentOf(line);
      return { path, layer, mode, uid, gid, mtime, xattrs, type, size, objects, extents };
    }
    case 'symlink':
      return { path, layer, mode, uid, gid, mtime, xattrs, type, target: line.target() };
    case 'char':
    case 'block': {
      const major = line.number('major', 0, MAX_DEVICE);
      const minor = line.number('minor', 0, MAX_DEVICE);
      return { path, layer, mode, uid, gid, mtime, xattrs, type, major, minor };
    }
    default:
      return { path, layer, mode, uid, gid, mtime, xattrs, type };
  }
}

const MAX_DEVICE = 0xffffffff;
/** 2^32 - 1 means "no such id" to chown(2). */
const MAX_ID = 0xfffffffe;

function metadataOf(line: Line): Metadata {
  return {
    mode: Number.parseInt(line.matching('mode', /^[0-7]{4}$/), 8),
    uid: line.optional('uid') === undefined ? 0 : line.number('uid', 1, MAX_ID),
    gid: line.optional('gid') === undefined ? 0 : line.number('gid', 1, MAX_ID),
    mtime: line.matching('mtime', /^(?!-0$)-?(?:0|[1-9]\d{0,18})(?:\.\d{0,8}[1-9])?$/),
    xattrs: line.optional('xattrs') === undefined ? NO_XATTRS : decodeXattrs(line.list('xattrs')),
  };
}

type Content = Pick<FileEntry, 'size' | 'objects' | 'extents'>;

function contentFields({ size, objects, extents }: FileEntry): string {
  const [only, ...others] = objects;
  let fields = size === 0 ? '' : `,"size":${size}`;
  if (only !== undefined && others.length === 0) fields += `,"object":"${only.digest}"`;
  if (others.length > 0) {
    fields += `,"objects":${JSON.stringify(objects.map(({ digest, size: part }) => ({ digest, size: part })))}`;
  }
  return extents === undefined ? fields : `${fields},"data":${JSON.stringify(extents)}`;
}

function contentOf(line: Line): Content {
  const size = line.optional('size') === undefined ? 0 : line.number('size', 1, Number.MAX_SAFE_INTEGER);
  const extents = line.optional('data') === undefined ? undefined : decodeExtents(line.list('data'), size);
  const stored = extents === undefined ? size : extents.reduce((sum, [, length]) => sum + length, 0);
  const objects = decodeObjects(line, stored);
  if (sizeOf(objects) !== stored) throw new Error('its objects are not as long as its data');
  return { size, objects, extents };
}

function decodeObjects(line: Line, stored: number): readonly ObjectRef[] {
  if (line.optional('objects') !== undefined) {
    const objects = line.list('objects').map((value) => {
      const object = new Line(value);
      return { digest: object.digest('digest'), size: object.number('size', 1, MAX_OBJECT_SIZE) };
    });
    if (objects.length < 2) throw new Error('it has a list of fewer than two objects');
    return objects;
  }
  if (stored === 0) return NO_OBJECTS;
  if (stored > MAX_OBJECT_SIZE) throw new Error('its object is too long');
  return [{ digest: line.digest('object'), size: stored }];
}

/** Data lies in order, within the file, and is not all of it: what is not sparse says nothing of extents. */
function decodeExtents(list: readonly unknown[], size: number): readonly Extent[] {
  let end = 0;
  const extents = list.map((value, i): Extent => {
    const parts: readonly unknown[] = Array.isArray(value) ? value : [];
    const [offset, length, ...rest] = parts;
    if (!isCount(offset) || !isCount(length) || rest.length > 0)
      throw new Error('its data is no list of extents');
    if (length === 0 || (i > 0 && offset <= end) || offset + length > size) {
      throw new Error('its data does not lie in the file');
    }
    end = offset + length;
    return [offset, length];
  });
  const [first] = extents;
  if (size === 0 || (first?.[0] === 0 && first[1] === size)) throw new Error('it has no holes');
  return extents;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function sizeOf(objects: readonly ObjectRef[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0);
}

function encodeXattrs(xattrs: Metadata['xattrs']): string {
  const list = Array.from(
    xattrs,
    ([name, value]) => `{${textField('name', name)},"value64":"${value.toString('base64')}"}`,
  );
  return `[${list.join(',')}]`;
}

function decodeXattrs(list: readonly unknown[]): Metadata['xattrs'] {
  const xattrs = new Map<string, Buffer>();
  let last = '';
  for (const value of list) {
    const xattr = new Line(value);
    const name = xattr.bytes('name');
    if (name <= last || name.includes('\0')) throw new Error('its xattrs are not in order');
    xattrs.set(name, Buffer.from(xattr.text('value64'), 'base64'));
    last = name;
  }
  return xattrs;
}

function textField(key: string, bytes: string): string {
  const asText = toText(bytes);
  if (asText !== undefined) return `"${key}":${JSON.stringify(asText)}`;
  return `"${key}64":"${toBytes(bytes).toString('base64')}"`;
}

/** A JSON object whose values are looked at one by one. */
class Line {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    if (!isRecord(value)) throw new Error('it is not a JSON object');
    this.#values = value;
  }

  optional(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
  }

  text(key: string): string {
    const value = this.optional(key);
    if (typeof value !== 'string') throw new Error(`it has no ${key}`);
    return value;
  }

  matching(key: string, pattern: RegExp): string {
    const text = this.text(key);
    if (!pattern.test(text)) throw new Error(`its ${key} is wrong`);
    return text;
  }

  oneOf<T extends string>(key: string, values: readonly T[]): T {
    const found = values.find((value) => value === this.optional(key));
    if (found === undefined) throw new Error(`its ${key} is none of ${values.join(', ')}`);
    return found;
  }

  number(key: string, min: number, max: number): number {
    const value = this.optional(key);
    if (!isCount(value) || value < min || value > max) throw new Error(`its ${key} is wrong`);
    return value;
  }

  digest(key: string): string {
    const text = this.text(key);
    if (!isDigest(text)) throw new Error(`its ${key} is no SHA-256`);
    return text;
  }

  list(key: string): readonly unknown[] {
    const value = this.optional(key);
    if (!Array.isArray(value)) throw new Error(`its ${key} is no list`);
    return value;
  }

  /** A text that need not be UTF-8 stands under `KEY`, or else in base64 under `KEY64`. */
  bytes(key: string): string {
    const asText = this.optional(key);
    if (typeof asText === 'string') return fromText(asText);
    return Buffer.from(this.text(`${key}64`), 'base64').toString('latin1');
  }

  target(): string {
    const bytes = this.bytes('target');
    if (bytes === '' || bytes.includes('\0')) throw new Error('its target is no path');
    return bytes;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
