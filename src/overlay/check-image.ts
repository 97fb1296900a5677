/** Whether a fleet goes with an image: what can only be told when the overlays are laid over it. */
import { BladerootError } from '../errors.ts';
import type { FileSystem } from '../fleet/disk-fields.ts';
import { FleetErrors, findingText, type Finding } from '../fleet/findings.ts';
import { faultPlace, type LoadedFleet } from '../fleet/load.ts';
import { originsOf } from '../fleet/origins.ts';
import { resolveFleet, type ResolvedBlade } from '../fleet/resolve.ts';
import { CachedFiles } from '../image/cached-files.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import type { LaidOver } from './laid-over.ts';
import { OverlayRenderer } from './render.ts';
import { startedAnywayFindings } from './started-anyway.ts';

export interface ImageCheck extends LoadedFleet {
  fleetDir: string;
  image: ImageFiles;
  signal: AbortSignal;
}

export interface ImageFindings {
  errors: Finding[];
  warnings: Finding[];
}

/**
 * Overlays that cannot be rendered or laid over the image, and services that neither it nor an overlay has, of all blades;
 * as warnings, services that start although they are stopped. Each finding once, with the file and line that it comes from.
 * @throws BladerootError `NO_SERVICE_MANAGER`, `NO_NETWORK_CONFIG` for an image that no blade can run
 */
export async function checkAgainstImage(check: ImageCheck): Promise<ImageFindings> {
  const { fleet, fleetDir } = check;
  const image = new CachedFiles(check.image);
  const blades = resolveFleet(fleet);
  const renderer = new OverlayRenderer({ fleet, blades, fleetDir, image });
  const errors = new Map<string, Finding>();
  const warnings = new Map<string, Finding>();
  for (const blade of blades) {
    check.signal.throwIfAborted();
    try {
      const { startedAnyway } = await renderer.render(blade);
      for (const finding of startedAnywayFindings(check, blade, startedAnyway))
        warnings.set(findingText(finding), finding);
      const lacking = [
        ...(await bootOrderFindings(check, blade, { renderer, image })),
        ...(await fileSystemFindings(check, blade, image)),
        ...(await mirrorFindings(check, blade, image)),
      ];
      for (const finding of lacking) errors.set(findingText(finding), finding);
    } catch (error) {
      for (const finding of await findingsOf(check, blade, renderer, error))
        errors.set(findingText(finding), finding);
    }
  }
  return { errors: [...errors.values()], warnings: [...warnings.values()] };
}

/** All that is wrong with a blade whose rendering has failed: with services, each of them that the image has not. */
async function findingsOf(
  check: ImageCheck,
  blade: ResolvedBlade,
  renderer: OverlayRenderer,
  error: unknown,
): Promise<Finding[]> {
  let root: LaidOver;
  try {
    root = await renderer.rootOf({ ...blade, services: { start: [], stop: [] } });
  } catch (withoutServices) {
    return findingsIn(withoutServices, check, blade);
  }
  const services = await detectServiceManager(root);
  const findings: Finding[] = [];
  for (const { path, from } of originsOf(check.fleet, blade.name)) {
    if (path[0] !== 'services') continue;
    const { start, stop } = blade.services;
    const isStarted = path[1] === 'start';
    const service = (isStarted ? start : stop)[Number(path[2])];
    if (service === undefined) continue;
    try {
      await (isStarted ? services.start(service) : services.stop(service));
    } catch (fault) {
      if (!(fault instanceof BladerootError)) throw fault;
      findings.push(faultPlace(check.source, { path: from, message: said(fault) }));
    }
  }
  return findings.length > 0 ? findings : findingsIn(error, check, blade);
}

/** The package, of Debian and of Gentoo. */
const EFIBOOTMGR = 'efibootmgr (sys-boot/efibootmgr)';

/** Whether the blade can set the boot order that is written for it. */
async function bootOrderFindings(
  check: ImageCheck,
  blade: ResolvedBlade,
  { renderer, image }: { renderer: OverlayRenderer; image: ImageFiles },
): Promise<Finding[]> {
  if (blade.bootOrder === undefined || (await hasProgram(image, 'efibootmgr'))) return [];
  if (await hasProgram(await renderer.rootOf(blade), 'efibootmgr')) return [];
  const origin = originsOf(check.fleet, blade.name).find(({ path }) => path[0] === 'bootOrder');
  const message = `the blade cannot set it: its image has no efibootmgr; install ${EFIBOOTMGR} in the tree`;
  return [faultPlace(check.source, { path: origin?.from ?? ['blades', blade.name], message })];
}

async function hasProgram(root: ImageFiles, name: string): Promise<boolean> {
  for (const directory of ['usr/sbin', 'usr/bin', 'sbin', 'bin']) {
    if ((await followLinks(root, `${directory}/${name}`)) !== undefined) return true;
  }
  return false;
}

/** What makes the file systems that not every image can make, and its package of Debian and of Gentoo. */
const MAKERS: Partial<Record<FileSystem, [program: string, from: string]>> = {
  xfs: ['mkfs.xfs', 'xfsprogs (sys-fs/xfsprogs)'],
  btrfs: ['mkfs.btrfs', 'btrfs-progs (sys-fs/btrfs-progs)'],
};

/** Whether the agent, whose programs are those of the image, can make the file systems of a blade. */
async function fileSystemFindings(
  check: ImageCheck,
  blade: ResolvedBlade,
  image: ImageFiles,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, { fs = 'ext4' }] of Object.entries(blade.disks.partitions)) {
    const [program, from] = MAKERS[fs] ?? [];
    if (program === undefined || (await hasProgram(image, program))) continue;
    const path = JSON.stringify(['disks', 'partitions', name, 'fs']);
    const origin = originsOf(check.fleet, blade.name).find((one) => JSON.stringify(one.path) === path);
    const message = `the agent cannot make it: the image has no ${program}; install ${from} in the tree`;
    findings.push(faultPlace(check.source, { path: origin?.from ?? ['blades', blade.name], message }));
  }
  return findings;
}

/** Whether the agent, and the blade itself, can have its disks as a mirror. */
async function mirrorFindings(
  check: ImageCheck,
  blade: ResolvedBlade,
  image: ImageFiles,
): Promise<Finding[]> {
  if (blade.disks.raid !== 1 || (await hasProgram(image, 'mdadm'))) return [];
  const path = JSON.stringify(['disks', 'raid']);
  const origin = originsOf(check.fleet, blade.name).find((one) => JSON.stringify(one.path) === path);
  const message = 'the image has no mdadm, which makes the mirror; install mdadm (sys-fs/mdadm) in the tree';
  return [faultPlace(check.source, { path: origin?.from ?? ['blades', blade.name], message })];
}

/** What is wrong with the image itself is no finding about the fleet. */
const OF_THE_IMAGE = new Set(['NO_SERVICE_MANAGER', 'NO_NETWORK_CONFIG']);

/** Errors of overlays begin with the file that they are about: as `FILE:LINE: why`, `FILE: why` or `FILE is …`. */
const PLACE = /^(overlays\/[^:]+?)(?::(\d+))?: (.*)$/s;
const SUBJECT = /^(overlays\/\S+) /;

function findingsIn(error: unknown, { source }: ImageCheck, { name }: ResolvedBlade): Finding[] {
  if (error instanceof FleetErrors) return [...error.findings];
  if (!(error instanceof BladerootError) || OF_THE_IMAGE.has(error.code)) throw error;
  const [, file, line, message = ''] = PLACE.exec(said(error)) ?? [];
  if (file !== undefined) return [{ file, ...(line === undefined ? {} : { line: Number(line) }), message }];
  const [, subject] = SUBJECT.exec(error.message) ?? [];
  if (subject !== undefined) return [{ file: subject, message: said(error) }];
  return [faultPlace(source, { path: ['blades', name], message: said(error) })];
}

function said({ message, hint }: BladerootError): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}
