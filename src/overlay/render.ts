import { BladerootError } from '../errors.ts';
import { placeInFleet } from '../fleet/place.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import type { Fleet } from '../fleet/schema.ts';
import type { Path } from '../fleet/source.ts';
import { CachedFiles } from '../image/cached-files.ts';
import type { ImageFiles } from '../image/files.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import type { OverlayEdit, ServiceManager } from '../tree/services/service-manager.ts';
import { BuiltIns, hosts } from './built-in.ts';
import { editEntry, type OverlayEntry } from './entry.ts';
import { OverlayFolder } from './folder.ts';
import { LaidOver } from './laid-over.ts';
import { FleetData, isShared, type ReleaseData } from './template-data.ts';

export interface FleetOverlays {
  fleet: Fleet;
  /** All blades of the fleet, for hosts files and templates. */
  blades: readonly ResolvedBlade[];
  /** The folder in which `overlays/` is. */
  fleetDir: string;
  image: ImageFiles;
  release?: ReleaseData;
}

export interface OverlayRequest extends FleetOverlays {
  blade: ResolvedBlade;
}

/** As OverlayRenderer, for one blade. */
export async function renderOverlay(request: OverlayRequest): Promise<OverlayEntry[]> {
  return await new OverlayRenderer(request).render(request.blade);
}

/**
 * Renders the overlays of a fleet's blades. What is the same for several of them is read, parsed and rendered once:
 * neither the image nor the fleet folder must change meanwhile.
 */
export class OverlayRenderer {
  readonly #request: FleetOverlays;
  readonly #image: ImageFiles;
  readonly #data: FleetData;
  readonly #folders = new Map<string, Promise<OverlayFolder>>();
  readonly #digests = new Map<string, Digest>();
  readonly #hosts: Digest;
  #builtIns: Promise<BuiltIns> | undefined;

  constructor(request: FleetOverlays) {
    const { fleet, blades, release } = request;
    this.#request = request;
    this.#image = new CachedFiles(request.image);
    this.#data = new FleetData(fleet, blades, release);
    this.#hosts = sha256(Buffer.from(hosts(blades)));
  }

  /**
   * Everything by which a blade differs from the image: what is built in, its overlay folders over that, and the services
   * that start, sorted by path. The same request gives the same entries.
   * @throws BladerootError `UNKNOWN_SERVICE`, `TEMPLATE_INVALID`, `OVERLAY_CONFLICT`, `OVERLAY_FILE`, `NO_NETWORK_CONFIG`,
   * `NO_SERVICE_MANAGER`, `UNKNOWN_TIME_ZONE`, `NO_SHADOW`, `UNKNOWN_USER`; FleetErrors for what is wrong in an `overlay.yaml`
   */
  async render(blade: ResolvedBlade): Promise<OverlayEntry[]> {
    return (await this.rootOf(blade)).entries();
  }

  /** The image as the blade will have it. @throws as `render` */
  async rootOf(blade: ResolvedBlade): Promise<LaidOver> {
    this.#builtIns ??= BuiltIns.of(this.#image, this.#request.blades);
    const { entries, start } = await (
      await this.#builtIns
    )
      .for(blade)
      .catch((error: unknown) => rethrowFor(blade, error));
    const root = new LaidOver(this.#image);
    for (const entry of entries) await root.put(entry);
    const data = this.#data.of(blade);
    for (const folder of await this.#foldersOf(blade)) await folder.layOver(root, data);
    // Reads the image as the layers leave it: a service can come from an overlay.
    await layServices(root, await detectServiceManager(root), this.#request.fleetDir, blade, start);
    return root;
  }

  /**
   * A digest of all that `render` makes of a blade what it is, but for image and program: while it is the same, so is what
   * would be rendered.
   */
  async inputs(blade: ResolvedBlade): Promise<Digest> {
    const folders = await this.#foldersOf(blade);
    const data = this.#data.of(blade);
    const names = [...new Set(folders.flatMap((folder) => [...folder.names]))].sort();
    const said = names.map((name) => [name, this.#digestOf(name, data[name])]);
    const digests = folders.map(({ digest }) => digest);
    return sha256(Buffer.from(JSON.stringify([blade, this.#hosts, digests, said])));
  }

  #foldersOf(blade: ResolvedBlade): Promise<OverlayFolder[]> {
    const read = (name: string): Promise<OverlayFolder> => {
      const folder = this.#folders.get(name) ?? OverlayFolder.read(this.#request.fleetDir, name);
      this.#folders.set(name, folder);
      return folder;
    };
    return Promise.all(blade.overlays.map(read));
  }

  /** Of what templates can name; what is the same for all blades is digested once. */
  #digestOf(name: string, value: unknown): Digest {
    const known = this.#digests.get(name);
    if (known !== undefined) return known;
    const digest = sha256(Buffer.from(JSON.stringify(value) ?? ''));
    if (isShared(name)) this.#digests.set(name, digest);
    return digest;
  }
}

/** Stops first: what is stopped takes the units along that are disabled with it, and one of those may be to start. */
async function layServices(
  root: LaidOver,
  services: ServiceManager,
  fleetDir: string,
  blade: ResolvedBlade,
  builtIn: readonly string[],
): Promise<void> {
  const { start, stop } = blade.services;
  const lay = async (origin: string, service: string, edits: OverlayEdit[]): Promise<void> => {
    for (const edit of edits) await root.put(editEntry(edit, `${origin}: ${service}`));
  };
  const layWritten = async (verb: 'start' | 'stop', service: string, index: number): Promise<void> => {
    const edits = await services[verb](service).catch((error: unknown) =>
      rethrowAt(fleetDir, blade, ['services', verb, index], error),
    );
    await lay(`services.${verb}`, service, edits);
  };
  for (const [index, service] of stop.entries()) await layWritten('stop', service, index);
  const needed = builtIn.filter((service) => !stop.includes(service) && !start.includes(service));
  for (const service of needed) await lay('built in: service', service, await services.start(service));
  for (const [index, service] of start.entries()) await layWritten('start', service, index);
}

function rethrowFor(blade: ResolvedBlade, error: unknown): never {
  if (!(error instanceof BladerootError)) throw error;
  throw new BladerootError(error.code, `blade ${blade.name}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}

/** With file and line of the value that is at fault, and the blade for which it was seen. */
async function rethrowAt(
  fleetDir: string,
  { name }: ResolvedBlade,
  path: Path,
  error: unknown,
): Promise<never> {
  if (!(error instanceof BladerootError)) throw error;
  const place = await placeInFleet(fleetDir, name, path);
  throw new BladerootError(error.code, `${place ?? 'fleet'}: ${error.message} (blade ${name})`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}
