/** One line of a manifest: keys in a fixed order, defaults left out, bytes that are no text in base64. */
import { z } from 'zod';
import { digestSchema } from '../store/digest.ts';
import { LAYERS } from '../store/pack-index.ts';
import { fromText, toBytes, toText } from './byte-path.ts';
import type { ManifestEntry, Metadata } from './manifest.ts';

/** A text that need not be UTF-8 stands under `KEY`, or else in base64 under `KEY64`. */
const text = z.string().optional();
const id = z.int().min(0).max(0xfffffffe);
const deviceNumber = z.int().min(0).max(0xffffffff);

const lineSchema = z.strictObject({
  path: text,
  path64: text,
  type: z.enum(['file', 'dir', 'symlink', 'hardlink', 'char', 'block', 'fifo']),
  layer: z.enum(LAYERS).default('run'),
  mode: z
    .string()
    .regex(/^[0-7]{4}$/)
    .optional(),
  uid: id.default(0),
  gid: id.default(0),
  mtime: z
    .string()
    .regex(/^(?!-0$)-?(?:0|[1-9]\d{0,18})(?:\.\d{0,8}[1-9])?$/)
    .optional(),
  size: z.int().min(1).optional(),
  object: digestSchema.optional(),
  target: text,
  target64: text,
  major: deviceNumber.optional(),
  minor: deviceNumber.optional(),
  xattrs: z.array(z.strictObject({ name: text, name64: text, value64: z.string() })).default([]),
});

type Line = z.infer<typeof lineSchema>;

export function entryToLine(entry: ManifestEntry): string {
  const isLink = entry.type === 'hardlink';
  return JSON.stringify({
    ...encodeText('path', entry.path),
    type: entry.type,
    layer: entry.layer === 'run' ? undefined : entry.layer,
    ...(!isLink && {
      mode: entry.mode.toString(8).padStart(4, '0'),
      uid: entry.uid || undefined,
      gid: entry.gid || undefined,
      mtime: entry.mtime,
    }),
    ...(entry.type === 'file' && { size: entry.size || undefined, object: entry.object }),
    ...('target' in entry && encodeText('target', entry.target)),
    ...('major' in entry && { major: entry.major, minor: entry.minor }),
    ...(!isLink && entry.xattrs.size > 0 && { xattrs: encodeXattrs(entry.xattrs) }),
  });
}

/** Reads a line's values; that it has no others and is in the canonical form, the caller checks by writing it again. */
export function entryFromLine(json: string): ManifestEntry {
  const result = lineSchema.safeParse(JSON.parse(json));
  if (!result.success) throw new Error(z.prettifyError(result.error));
  const line = result.data;
  const { type, layer } = line;
  const path = decodeText(line.path, line.path64);
  if (type === 'hardlink') return { path, layer, type, target: targetOf(line) };

  const common = { path, layer, ...metadataOf(line) };
  switch (type) {
    case 'file':
      if ((line.size === undefined) !== (line.object === undefined)) {
        throw new Error('it has a size and no object, or the other way round');
      }
      return { ...common, type, size: line.size ?? 0, object: line.object };
    case 'symlink':
      return { ...common, type, target: targetOf(line) };
    case 'char':
    case 'block':
      return { ...common, type, major: needed(line.major, 'major'), minor: needed(line.minor, 'minor') };
    default:
      return { ...common, type };
  }
}

function metadataOf({ mode, uid, gid, mtime, xattrs }: Line): Metadata {
  return {
    mode: Number.parseInt(needed(mode, 'mode'), 8),
    uid,
    gid,
    mtime: needed(mtime, 'mtime'),
    xattrs: xattrs.length === 0 ? NO_XATTRS : decodeXattrs(xattrs),
  };
}

const NO_XATTRS: Metadata['xattrs'] = new Map();

function encodeXattrs(xattrs: Metadata['xattrs']): object[] {
  return Array.from(xattrs, ([name, value]) => ({
    ...encodeText('name', name),
    value64: value.toString('base64'),
  }));
}

function decodeXattrs(list: Line['xattrs']): Metadata['xattrs'] {
  const xattrs = new Map<string, Buffer>();
  let last = '';
  for (const { name: asText, name64, value64 } of list) {
    const name = decodeText(asText, name64);
    if (name <= last || name.includes('\0')) throw new Error('its xattrs are not in order');
    xattrs.set(name, Buffer.from(value64, 'base64'));
    last = name;
  }
  return xattrs;
}

function targetOf({ target, target64 }: Line): string {
  const bytes = decodeText(target, target64);
  if (bytes === '' || bytes.includes('\0')) throw new Error('its target is no path');
  return bytes;
}

function encodeText(key: string, bytes: string): Record<string, string> {
  const asText = toText(bytes);
  return asText === undefined ? { [`${key}64`]: toBytes(bytes).toString('base64') } : { [key]: asText };
}

function decodeText(asText: string | undefined, base64: string | undefined): string {
  if (asText !== undefined) return fromText(asText);
  return Buffer.from(needed(base64, 'path, target or name'), 'base64').toString('latin1');
}

function needed<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw new Error(`it has no ${key}`);
  return value;
}
