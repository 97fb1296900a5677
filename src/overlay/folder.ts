import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { SECRETS } from '../secrets/folder.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { appendLines } from './append.ts';
import { ATTRIBUTES_FILE, layAttributes, readAttributes, type Attributes } from './attributes.ts';
import { dirEntry, editEntry, fileEntry, isSecret, type FileEntry, type OverlayEntry } from './entry.ts';
import type { LaidOver } from './laid-over.ts';
import { secretEntries } from './secrets.ts';
import { Template, type TemplateData } from './template.ts';
import { isShared } from './template-data.ts';

const TEMPLATE = '.liquid';
const APPEND = '.append';
const DELETE = '.delete';

/** One thing of an overlay folder: what it does to what is at its path. */
type Piece = { does: 'put'; entry: OverlayEntry } | { does: 'append'; entry: FileEntry } | TemplatePiece;

interface TemplatePiece {
  does: 'render';
  template: Template;
  append: boolean;
  path: string;
  mode: number;
  origin: string;
}

/** What templates say on one blade and not on all alike, in the order of the folder. */
export type OwnFiles = ReadonlyMap<Piece, FileEntry>;

/** A folder of `overlays/`, read once for all blades. */
export class OverlayFolder {
  /** Of all that is in it: it is another one when what it lays over a blade may differ. */
  readonly digest: Digest;
  /** What its templates ask for, such as `blade` and `vars`. */
  readonly names: ReadonlySet<string>;
  readonly #pieces: readonly Piece[];
  readonly #attributes: ReadonlyMap<string, Attributes>;
  /** What templates say on all blades alike, once it has been rendered. */
  readonly #sharedFiles = new Map<Piece, FileEntry>();

  private constructor(pieces: Piece[], attributes: ReadonlyMap<string, Attributes>, digest: Digest) {
    // What is deleted goes first, so that a folder can lay something else in its place.
    const isWhiteout = (piece: Piece): boolean => piece.does === 'put' && piece.entry.type === 'whiteout';
    this.#pieces = [...pieces.filter(isWhiteout), ...pieces.filter((piece) => !isWhiteout(piece))];
    this.#attributes = attributes;
    this.digest = digest;
    this.names = new Set(pieces.flatMap((piece) => (piece.does === 'render' ? piece.template.names : [])));
  }

  /**
   * Reads `overlays/NAME`. Symbolic links are taken as links and never followed.
   * @throws BladerootError `TEMPLATE_INVALID`, `OVERLAY_FILE` for what is neither file, directory nor link,
   *   `SECRET_IN_CLEAR`
   */
  static async read(fleetDir: string, name: string): Promise<OverlayFolder> {
    const top = posix.join('overlays', name);
    const hash = createHash('sha256');
    const pieces: Piece[] = [];
    const walk = async (dir: string): Promise<void> => {
      const children = await readdir(join(fleetDir, top, dir), { withFileTypes: true });
      for (const child of children.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        if (dir === '' && (child.name === SECRETS || child.name === ATTRIBUTES_FILE)) continue;
        const path = posix.join(dir, child.name);
        const { piece, said } = await readPiece(fleetDir, posix.join(top, path), path, child);
        hash.update(`${JSON.stringify([path, ...said])}\n`);
        pieces.push(piece);
        if (child.isDirectory()) await walk(path);
      }
    };
    await walk('');
    for (const entry of await secretEntries(fleetDir, name)) {
      hash.update(`${JSON.stringify([SECRETS, entry.path, sha256(entry.content)])}\n`);
      pieces.push({ does: 'put', entry });
    }
    refuseTwins(pieces);
    const { attributes, text } = await readAttributes(fleetDir, name);
    hash.update(text);
    return new OverlayFolder(pieces, attributes, hash.digest('hex'));
  }

  /** What its templates say that name something of the blade's. @throws BladerootError `TEMPLATE_INVALID` with file and line */
  ownFiles(data: TemplateData): OwnFiles {
    return new Map(
      this.#pieces.flatMap((piece) =>
        piece.does === 'render' && !saysTheSame(piece) ? [[piece, renderPiece(piece, data)]] : [],
      ),
    );
  }

  /**
   * Lays all of it over an image.
   * @param own of the blade with this data
   * @throws BladerootError `TEMPLATE_INVALID`, `OVERLAY_CONFLICT`, `OVERLAY_FILE` with file and line
   */
  async layOver(root: LaidOver, data: TemplateData, own: OwnFiles): Promise<void> {
    /** Where the things of this folder really are, by their path in it. */
    const laid = new Map<string, string>();
    for (const piece of this.#pieces) {
      const entry = piece.does === 'render' ? (own.get(piece) ?? this.#shared(piece, data)) : piece.entry;
      const appends = piece.does === 'append' || (piece.does === 'render' && piece.append);
      const real = appends && entry.type === 'file' ? await appendLines(root, entry) : await root.put(entry);
      if (entry.type !== 'whiteout')
        laid.set(isSecret(entry) ? `${SECRETS}/${entry.path}` : entry.path, real);
    }
    await layAttributes(root, this.#attributes, laid);
  }

  #shared(piece: TemplatePiece, data: TemplateData): FileEntry {
    const entry = this.#sharedFiles.get(piece) ?? renderPiece(piece, data);
    this.#sharedFiles.set(piece, entry);
    return entry;
  }
}

function renderPiece({ template, path, origin, mode }: TemplatePiece, data: TemplateData): FileEntry {
  return fileEntry(path, template.render(data), origin, mode);
}

/** On all blades alike. */
function saysTheSame({ template }: TemplatePiece): boolean {
  return template.names.every(isShared);
}

/** What is at a path of the folder, and all that the folder's digest has to know of it. */
async function readPiece(
  fleetDir: string,
  origin: string,
  path: string,
  child: Dirent,
): Promise<{ piece: Piece; said: unknown[] }> {
  const full = join(fleetDir, origin);
  if (child.isSymbolicLink()) {
    const target = await readlink(full);
    const entry = editEntry({ type: 'symlink', path, target }, origin);
    return { piece: { does: 'put', entry }, said: ['link', target] };
  }
  const mode = (await lstat(full)).mode & 0o7777;
  if (child.isDirectory()) {
    if (path.endsWith(DELETE)) throw refused(origin, 'is a directory; what deletes is an empty file');
    return { piece: { does: 'put', entry: dirEntry(path, origin, mode) }, said: ['dir', mode] };
  }
  if (!child.isFile()) throw refused(origin, 'is neither a file nor a directory nor a link; remove it');
  const content = await readFile(full);
  return { piece: pieceOf(path, content, mode, origin), said: ['file', mode, sha256(content)] };
}

function pieceOf(path: string, content: Buffer, mode: number, origin: string): Piece {
  if (path.endsWith(DELETE)) {
    const entry = editEntry({ type: 'whiteout', path: without(DELETE, path, origin) }, origin);
    return { does: 'put', entry };
  }
  const isTemplate = path.endsWith(TEMPLATE);
  const named = isTemplate ? without(TEMPLATE, path, origin) : path;
  const append = named.endsWith(APPEND);
  const target = append ? without(APPEND, named, origin) : named;
  if (isTemplate) {
    const template = new Template(content.toString(), origin);
    return { does: 'render', template, append, path: target, mode, origin };
  }
  const entry = fileEntry(target, content, origin, mode);
  return append ? { does: 'append', entry } : { does: 'put', entry };
}

function without(suffix: string, path: string, origin: string): string {
  const rest = path.slice(0, -suffix.length);
  if (posix.basename(path) !== suffix) return rest;
  throw refused(origin, `is a suffix without a name; write NAME${suffix}`);
}

/** `motd` and `motd.liquid` in one folder: neither is nearer than the other. A directory can be emptied first. */
function refuseTwins(pieces: readonly Piece[]): void {
  const seen = new Map<string, { origin: string; type: string }>();
  for (const piece of pieces) {
    const { path, origin } = piece.does === 'render' ? piece : piece.entry;
    const type = piece.does === 'put' ? piece.entry.type : 'file';
    const other = seen.get(path);
    const types = new Set([other?.type, type]);
    if (other !== undefined && !(types.has('dir') && types.has('whiteout'))) {
      throw refused(`${other.origin} and ${origin}`, 'are for the same file; remove one of them');
    }
    seen.set(path, { origin, type });
  }
}

function refused(origin: string, why: string): BladerootError {
  return new BladerootError('OVERLAY_FILE', `${origin} ${why}`);
}
