/**
 * `overlay.yaml` at the top of an overlay folder: owner, group, mode and extended attributes of its files, which git does
 * not keep. Everything it does not name belongs to root, with the mode that it has on disk.
 */
import { join, posix } from 'node:path';
import { z } from 'zod';
import { FleetErrors, type Finding } from '../fleet/findings.ts';
import { didYouMean, nameList } from '../fleet/nearest.ts';
import { YamlSource } from '../fleet/source.ts';
import { readIfThere } from '../system/read-file.ts';
import { dirEntry, type Metadata } from './entry.ts';
import type { LaidOver } from './laid-over.ts';
import { findGroup, findUser } from './users.ts';

export const ATTRIBUTES_FILE = 'overlay.yaml';

/** What `overlay.yaml` says of one path. */
export interface Attributes {
  /** A name or a number. */
  owner?: string | undefined;
  group?: string | undefined;
  /** Permission bits. */
  mode?: number | undefined;
  xattrs?: ReadonlyMap<string, Buffer> | undefined;
  /** Whether the path is written with a slash at its end: a directory, which is made where there is none. */
  isDirectory: boolean;
  /** Where it stands: `overlays/web/overlay.yaml:3`. */
  place: string;
}

const expects =
  (what: string) =>
  ({ input }: { readonly input?: unknown }): string =>
    `${JSON.stringify(input ?? '').slice(0, 80)} is not ${what}`;

const owner = z.string().regex(/^([a-z_][a-z0-9_.-]*\$?|\d{1,10})$/i, {
  error: expects('a user or group; write its name or its number'),
});

const mode = z
  .string()
  .regex(/^(0o?)?[0-7]{3,4}$/, { error: expects('a mode; write three or four octal digits such as 0640') })
  .transform((digits) => Number.parseInt(digits.replace(/^0o/, ''), 8));

/** Text, or bytes as setfattr(1) takes them: `0x` and hex digits, `0s` and base64. */
const xattrs = z
  .record(z.string().regex(/^(user|trusted|security|system)\.[^=\0]+$/), z.string(), {
    error: expects('a map of attributes such as { user.comment: text }'),
  })
  .transform(
    (values) =>
      new Map(
        Object.entries(values)
          .map(([name, text]): [string, Buffer] => [Buffer.from(name).toString('latin1'), xattrValue(text)])
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
  );

function xattrValue(text: string): Buffer {
  if (/^0x([0-9a-f]{2})*$/i.test(text)) return Buffer.from(text.slice(2), 'hex');
  if (/^0s[A-Za-z0-9+/]*=*$/.test(text)) return Buffer.from(text.slice(2), 'base64');
  return Buffer.from(text);
}

const KEYS = {
  owner: owner.optional(),
  group: owner.optional(),
  mode: mode.optional(),
  xattrs: xattrs.optional(),
};

const fileSchema = z.record(
  z.string(),
  z.strictObject(KEYS, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `${issue.keys.join(', ')} is not known here; known are ${Object.keys(KEYS).join(', ')}`
        : `write what the file is to have, such as { owner: www-data, mode: 0640 }`,
  }),
  { error: () => 'write "PATH: { owner: …, group: …, mode: … }" lines' },
);

/**
 * Reads the `overlay.yaml` of an overlay folder, by paths as they are on the blade; secrets by theirs with `secrets/` before it.
 * @returns nothing and '' where there is none
 * @throws FleetErrors with every fault in it
 */
export async function readAttributes(
  fleetDir: string,
  name: string,
): Promise<{ attributes: ReadonlyMap<string, Attributes>; text: string }> {
  const file = posix.join('overlays', name, ATTRIBUTES_FILE);
  const text = (await readIfThere(join(fleetDir, file))) ?? '';
  const source = new YamlSource(file, text, { schema: 'failsafe' });
  if (source.syntaxErrors.length > 0) throw new FleetErrors(source.syntaxErrors);
  const parsed = fileSchema.safeParse(source.data ?? {});
  const findings: Finding[] = [
    ...source.duplicateKeys(),
    ...(parsed.error?.issues ?? []).map(({ path, message }) => {
      const keys = path.map((part) => (typeof part === 'number' ? part : String(part)));
      return { file, line: source.lineOf(keys), message: [...keys, message].join(': ') };
    }),
  ];
  if (parsed.data === undefined || findings.length > 0) throw new FleetErrors(findings);
  const attributes = Object.entries(parsed.data).map(([path, said]): [string, Attributes] => [
    path.replace(/^\/+|\/+$/g, ''),
    { ...said, isDirectory: path.endsWith('/'), place: `${file}:${source.lineOf([path])}` },
  ]);
  return { attributes: new Map(attributes), text };
}

/**
 * Gives what a folder has laid the owners and modes that its `overlay.yaml` says.
 * @param laid where the things of the folder really are, by their path in it
 * @throws BladerootError `UNKNOWN_USER`; FleetErrors for a path that the folder does not have
 */
export async function layAttributes(
  root: LaidOver,
  attributes: ReadonlyMap<string, Attributes>,
  laid: ReadonlyMap<string, string>,
): Promise<void> {
  for (const [path, said] of attributes) {
    const real = said.isDirectory ? await root.putDirectory(dirEntry(path, said.place)) : laid.get(path);
    if (real === undefined) throw noSuchPath(path, said, laid);
    await root.change(real, await metadataFor(root, said), said.place);
  }
}

/** What is said, with names as numbers of the image's users and groups. */
async function metadataFor(root: LaidOver, said: Attributes): Promise<Partial<Metadata>> {
  const { owner, group, mode, xattrs, place } = said;
  return {
    ...(owner === undefined ? {} : { uid: await findUser(root, owner, place) }),
    ...(group === undefined ? {} : { gid: await findGroup(root, group, place) }),
    ...(mode === undefined ? {} : { mode }),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}

function noSuchPath(path: string, { place }: Attributes, laid: ReadonlyMap<string, string>): FleetErrors {
  const [file = '', line] = place.split(/:(?=\d+$)/);
  const known = [...laid.keys()];
  const message = `this overlay has no ${path}${didYouMean(path, known)}; it has ${nameList(known)}; a directory of the image is written with a slash at its end`;
  return new FleetErrors([{ file, line: Number(line), message }]);
}
