/**
 * The secrets of an overlay: `overlays/web/secrets/etc/ssl/key.pem.age` becomes `/etc/ssl/key.pem` on the blade. An age
 * file does not say whom it is encrypted to, so `recipients.json` beside the files does, for those whose bytes it knows.
 */
import { lstat, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { z } from 'zod';
import { BladerootError, errorCode } from '../errors.ts';
import { sha256 } from '../store/digest.ts';
import { readIfThere } from '../system/read-file.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { isCiphertext } from './ciphertext.ts';

/** The folder in an overlay. */
export const SECRETS = 'secrets';
const SUFFIX = '.age';
const RECORD = 'recipients.json';

export interface Secret {
  overlay: string;
  /** On the blade, such as `etc/ssl/key.pem`. */
  path: string;
  /** In the fleet folder. */
  file: string;
  ciphertext: Buffer;
  /** Whom bladeroot has encrypted it to; undefined when something else has written the file. */
  recipients: string[] | undefined;
}

const recordSchema = z.record(
  z.string(),
  z.strictObject({ sha256: z.string(), recipients: z.array(z.string()) }),
);
type Record_ = z.infer<typeof recordSchema>;

/**
 * All secrets of an overlay, by path. There are no others: what is not encrypted must not lie there.
 * @throws BladerootError `SECRET_IN_CLEAR`, `SECRETS_RECORD`
 */
export async function readSecrets(fleetDirectory: string, overlay: string): Promise<Secret[]> {
  const top = join(fleetDirectory, topOf(overlay));
  const files = await filesBelow(top);
  if (files.length === 0) return [];
  const record = await readRecord(fleetDirectory, overlay);
  const secrets: Secret[] = [];
  for (const name of files) {
    if (name === RECORD) continue;
    const file = posix.join(topOf(overlay), name);
    const isFile = (await lstat(join(top, name))).isFile();
    const ciphertext = isFile && name.endsWith(SUFFIX) ? await readFile(join(top, name)) : undefined;
    if (ciphertext === undefined || !isCiphertext(ciphertext)) throw inClear(file, overlay, name);
    const known = Object.hasOwn(record, name) ? record[name] : undefined;
    const recipients = known?.sha256 === sha256(ciphertext) ? known.recipients : undefined;
    secrets.push({ overlay, path: name.slice(0, -SUFFIX.length), file, ciphertext, recipients });
  }
  return secrets;
}

/** Where a secret lies in the fleet folder. @throws BladerootError `BAD_PATH` */
export function secretFile(overlay: string, path: string): string {
  return posix.join(topOf(overlay), `${secretPath(path)}${SUFFIX}`);
}

/** `/etc/ssl/key.pem` and `etc/ssl/key.pem` are one. @throws BladerootError `BAD_PATH` */
export function secretPath(path: string): string {
  const parts = path.replace(/^\/+/, '').split('/');
  if (parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0')))
    return parts.join('/');
  throw new BladerootError('BAD_PATH', `${JSON.stringify(path)} is not the path of a file on a blade`, {
    hint: 'write it from the root, such as /etc/ssl/private/key.pem',
  });
}

/**
 * Writes a secret, and then down whom it is encrypted to: should the power fail in between, it counts as unknown. Needs
 * the folder's lock (fleet/edit-folder.ts).
 */
export async function writeSecret(
  fleetDirectory: string,
  {
    overlay,
    path,
    ciphertext,
    recipients,
  }: Pick<Secret, 'overlay' | 'path' | 'ciphertext'> & { recipients: string[] },
): Promise<void> {
  const file = join(fleetDirectory, secretFile(overlay, path));
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, ciphertext);
  const top = join(fleetDirectory, topOf(overlay));
  const there = new Set(await filesBelow(top));
  const before = Object.entries(await readRecord(fleetDirectory, overlay)).filter(([name]) =>
    there.has(name),
  );
  const entry: Record_[string] = { sha256: sha256(ciphertext), recipients };
  const record = new Map([...before, [`${path}${SUFFIX}`, entry]]);
  const sorted = [...record].sort(([a], [b]) => (a < b ? -1 : 1));
  await writeFileAtomic(join(top, RECORD), `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
}

function topOf(overlay: string): string {
  return posix.join('overlays', overlay, SECRETS);
}

/** Paths below a directory of all that is no directory, sorted; none where it is not there. */
async function filesBelow(top: string): Promise<string[]> {
  try {
    const entries = await readdir(top, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => posix.relative(top, join(entry.parentPath, entry.name)))
      .sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function readRecord(fleetDirectory: string, overlay: string): Promise<Record_> {
  const file = posix.join(topOf(overlay), RECORD);
  const text = await readIfThere(join(fleetDirectory, file));
  if (text === undefined) return {};
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new BladerootError('SECRETS_RECORD', `${file} is damaged`, {
      hint: 'put it back from git, or remove it and run `bladeroot secret rekey`',
      cause: error,
    });
  }
}

function inClear(file: string, overlay: string, name: string): BladerootError {
  return new BladerootError('SECRET_IN_CLEAR', `${file} is not encrypted, and all in that folder has to be`, {
    hint: `\`bladeroot secret set ${overlay} /${name.replace(/\.age$/, '')} --from FILE\` encrypts it; then remove this file here, and from git's history if it is there`,
  });
}
