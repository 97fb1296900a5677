import type { Command } from 'commander';
import type { PackageChange } from '../../image/packages.ts';
import {
  diffReleases,
  isNone,
  type ArchiveDifference,
  type BladeDifference,
  type FieldChange,
  type ReleaseDifference,
} from '../../release/diff.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import { contextOf, leaf } from '../command.ts';
import { locked, readStore } from '../store.ts';
import { differenceAsJson, linesOf, summaryOf } from '../tree-difference.ts';
import { findRelease } from './find.ts';

export function diffCommand(signal: AbortSignal): Command {
  return leaf('diff', 'what changed from one release to another: packages, files, configuration of blades', [
    'bladeroot release diff                    # what the newest one has brought',
    'bladeroot release diff 17 latest --files',
    'bladeroot release diff 17 20 --json',
  ])
    .argument('[a]', 'its number, latest or previous', 'previous')
    .argument('[b]', 'the other one', 'latest')
    .option('--files', 'name every file of the image that differs, not only how many')
    .action(async (a: string, b: string, options: { files?: boolean }, command: Command) => {
      const context = contextOf(command, signal);
      const publicKey = await readPublicKey(context.stateDirectory);
      const releases = new ReleaseRepository(context.stateDirectory, publicKey);
      const [before, after] = [await findRelease(releases, a), await findRelease(releases, b)];
      const store = await readStore(context);
      await locked(context, store, 'shared', async () => {
        const difference = await diffReleases(store, before.statement, after.statement, publicKey);
        context.output.result(asJson(difference), asText(difference, options.files === true).join('\n'));
      });
    });
}

function asJson({ image, ...rest }: ReleaseDifference): object {
  if (image === undefined) return rest;
  const { packages, files } = image;
  return { ...rest, image: { ...(packages && { packages }), files: differenceAsJson(files) } };
}

function asText(difference: ReleaseDifference, withFiles: boolean): string[] {
  const { from, to, image, parts, folder, blades } = difference;
  const lines = [
    ...section('packages', image?.packages?.map(describePackage) ?? []),
    ...section(
      'image',
      image === undefined ? [] : [...(withFiles ? linesOf(image.files) : []), summaryOf(image.files)],
    ),
    // That the snapshot is another is said by what is in it.
    ...section('release', parts.filter(({ field }) => field !== 'snapshot').map(describePart)),
    ...section('fleet folder', describeArchive(folder)),
    ...blades.flatMap((blade) => section(`blade ${blade.name}`, describeBlade(blade))),
  ];
  return lines.length === 0 ? [`releases ${from} and ${to} say the same`] : lines;
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function describePackage({ name, from, to }: PackageChange): string {
  if (from.length === 0) return `added    ${name} ${to.join(', ')}`;
  if (to.length === 0) return `removed  ${name} ${from.join(', ')}`;
  return `changed  ${name} ${from.join(', ')} → ${to.join(', ')}`;
}

/** What is named by digest is just another one. */
function describePart({ field, from, to }: FieldChange): string {
  const [old, now] = [from, to].map(versionOf);
  return old !== undefined && now !== undefined && old !== now
    ? `${field} ${old} → ${now}`
    : `${field} is another`;
}

function versionOf(part: unknown): string | undefined {
  if (typeof part === 'string') return part;
  if (typeof part !== 'object' || part === null || !('version' in part)) return undefined;
  return typeof part.version === 'string' ? part.version : undefined;
}

function describeBlade({ change, fields, overlay, secrets }: BladeDifference): string[] {
  if (change !== 'changed') return [change];
  return [
    ...fields.map(describeField),
    ...describeArchive(overlay).map((line) => `overlay: ${line}`),
    ...(secrets ? ['secrets are others'] : []),
  ];
}

/** Of lists what was added and what was taken away; their order, where that is all. */
function describeField({ field, from, to }: FieldChange): string {
  if (!Array.isArray(from ?? []) || !Array.isArray(to ?? []))
    return `${field}: ${shown(from)} → ${shown(to)}`;
  const [old, now]: [unknown[], unknown[]] = [listOf(from), listOf(to)];
  const edits = [
    ...old.filter((item) => !now.includes(item)).map((item) => `-${String(item)}`),
    ...now.filter((item) => !old.includes(item)).map((item) => `+${String(item)}`),
  ];
  return `${field}: ${edits.length > 0 ? edits.join(' ') : `in another order: ${now.join(' ')}`}`;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function describeArchive({ added, removed, changed }: ArchiveDifference): string[] {
  return isNone({ added, removed, changed })
    ? []
    : [
        ...added.map((path) => `added    ${path}`),
        ...removed.map((path) => `removed  ${path}`),
        ...changed.map((path) => `changed  ${path}`),
      ];
}
