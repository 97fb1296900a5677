/** Whether a fleet goes with an image: what can only be told when the overlays are laid over it. */
import { BladerootError } from '../errors.ts';
import { FleetErrors, type Finding } from '../fleet/findings.ts';
import { faultPlace, type LoadedFleet } from '../fleet/load.ts';
import { originsOf } from '../fleet/origins.ts';
import { resolveFleet, type ResolvedBlade } from '../fleet/resolve.ts';
import { CachedFiles } from '../image/cached-files.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import { LaidOver } from './laid-over.ts';
import { OverlayRenderer } from './render.ts';

export interface ImageCheck extends LoadedFleet {
  fleetDir: string;
  image: ImageFiles;
  signal: AbortSignal;
}

/**
 * Overlays that cannot be rendered or laid over the image, and services that neither it nor an overlay has, of all blades:
 * each finding once, with the file and line that it comes from.
 * @throws BladerootError `NO_SERVICE_MANAGER`, `NO_NETWORK_CONFIG` for an image that no blade can run
 */
export async function checkAgainstImage(check: ImageCheck): Promise<Finding[]> {
  const { fleet, fleetDir } = check;
  const image = new CachedFiles(check.image);
  const blades = resolveFleet(fleet);
  const renderer = new OverlayRenderer({ fleet, blades, fleetDir, image });
  const findings = new Map<string, Finding>();
  for (const blade of blades) {
    check.signal.throwIfAborted();
    for (const finding of await checkBlade(check, { blade, renderer, image })) {
      findings.set(`${finding.file}:${finding.line}: ${finding.message}`, finding);
    }
  }
  return [...findings.values()];
}

interface BladeCheck {
  blade: ResolvedBlade;
  renderer: OverlayRenderer;
  image: ImageFiles;
}

async function checkBlade(check: ImageCheck, { blade, renderer, image }: BladeCheck): Promise<Finding[]> {
  const root = new LaidOver(image);
  try {
    const none = { ...blade, services: { start: [], stop: [] } };
    for (const entry of await renderer.render(none)) await root.put(entry);
  } catch (error) {
    return findingsIn(error, check, blade);
  }
  const services = await detectServiceManager(root);
  const findings: Finding[] = [];
  for (const { path, from } of originsOf(check.fleet, blade.name)) {
    if (path[0] === 'bootOrder' && !(await hasEfibootmgr(root))) {
      const message = `the blade cannot set it: its image has no efibootmgr; install ${EFIBOOTMGR} in the tree`;
      findings.push(faultPlace(check.source, { path: from, message }));
    }
    if (path[0] !== 'services') continue;
    const { start, stop } = blade.services;
    const isStarted = path[1] === 'start';
    const service = (isStarted ? start : stop)[Number(path[2])];
    if (service === undefined) continue;
    try {
      await (isStarted ? services.start(service) : services.stop(service));
    } catch (error) {
      if (!(error instanceof BladerootError)) throw error;
      findings.push(faultPlace(check.source, { path: from, message: said(error) }));
    }
  }
  return findings;
}

/** The package, of Debian and of Gentoo. */
const EFIBOOTMGR = 'efibootmgr (sys-boot/efibootmgr)';

async function hasEfibootmgr(root: ImageFiles): Promise<boolean> {
  for (const directory of ['usr/sbin', 'usr/bin', 'sbin', 'bin']) {
    if ((await followLinks(root, `${directory}/efibootmgr`)) !== undefined) return true;
  }
  return false;
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
