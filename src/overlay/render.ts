import { BladerootError } from '../errors.ts';
import { rethrowAt } from '../fleet/place.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import type { Fleet } from '../fleet/schema.ts';
import { CachedFiles } from '../image/cached-files.ts';
import type { ImageFiles } from '../image/files.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import type { OverlayEdit, ServiceManager } from '../tree/services/service-manager.ts';
import { BuiltIns, hosts } from './built-in.ts';
import { editEntry, type BuiltIn, type FileEntry, type OverlayEntry } from './entry.ts';
import { OverlayFolder, type OwnFiles } from './folder.ts';
import { LaidOver } from './laid-over.ts';
import { Pattern } from './pattern.ts';
import { startedAnywayOn, type StartedAnyway } from './started-anyway.ts';
import type { TemplateData } from './template.ts';
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

/** Of blades that are alike but for what their own files say: how many kinds, where services depend on that, are kept. */
const MOST_PATTERNS = 16;

/** What a blade's overlay is made of. */
interface Makings {
  builtIn: BuiltIn;
  data: TemplateData;
  folders: { folder: OverlayFolder; own: OwnFiles }[];
}

/** What comes of a blade's overlays. */
export interface RenderedBlade {
  /** Sorted by path. */
  entries: OverlayEntry[];
  /** Of a blade of this shape. */
  startedAnyway: readonly StartedAnyway[];
}

/** As OverlayRenderer, for one blade. */
export async function renderOverlay(request: OverlayRequest): Promise<OverlayEntry[]> {
  return (await new OverlayRenderer(request).render(request.blade)).entries;
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
  /** By shape. */
  readonly #patterns = new Map<string, Pattern[]>();
  /** By shape, of the first blade that had it. */
  readonly #startedAnyway = new Map<string, readonly StartedAnyway[]>();
  /** The end of the last rendering of a shape. */
  readonly #turns = new Map<string, Promise<void>>();
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
   * that start. The same request gives the same entries.
   * @throws BladerootError `UNKNOWN_SERVICE`, `TEMPLATE_INVALID`, `OVERLAY_CONFLICT`, `OVERLAY_FILE`, `NO_NETWORK_CONFIG`,
   * `NO_SERVICE_MANAGER`, `UNKNOWN_TIME_ZONE`, `NO_SHADOW`, `UNKNOWN_USER`; FleetErrors for what is wrong in an `overlay.yaml`
   */
  async render(blade: ResolvedBlade): Promise<RenderedBlade> {
    const makings = await this.#makingsOf(blade);
    const shape = shapeOf(blade, makings);
    // One after the other: most likely they are alike, and the first is the only one that has to be laid.
    const rendering = (this.#turns.get(shape) ?? Promise.resolve()).then(() =>
      this.#renderInTurn(blade, shape, makings),
    );
    this.#turns.set(shape, rendering.then(ignore, ignore));
    return await rendering;
  }

  async #renderInTurn(blade: ResolvedBlade, shape: string, makings: Makings): Promise<RenderedBlade> {
    const own = ownFilesOf(makings);
    const patterns = this.#patterns.get(shape) ?? [];
    const known = patterns.find((pattern) => pattern.fits(own));
    if (known !== undefined) {
      return { entries: known.entries(own), startedAnyway: this.#startedAnyway.get(shape) ?? [] };
    }
    const root = await this.#lay(blade, makings);
    if (patterns.length < MOST_PATTERNS) this.#patterns.set(shape, [...patterns, new Pattern(root, own)]);
    // It takes longer than all else, and is for a warning: what units of a blade's own say could differ, and hardly does.
    const startedAnyway = this.#startedAnyway.get(shape) ?? (await startedAnywayOn(root, blade));
    this.#startedAnyway.set(shape, startedAnyway);
    return { entries: root.entries(), startedAnyway };
  }

  /** The image as the blade will have it. @throws as `render` */
  async rootOf(blade: ResolvedBlade): Promise<LaidOver> {
    return await this.#lay(blade, await this.#makingsOf(blade));
  }

  async #makingsOf(blade: ResolvedBlade): Promise<Makings> {
    this.#builtIns ??= BuiltIns.of(this.#image, this.#request.blades);
    const builtIns = await this.#builtIns;
    const builtIn = await builtIns.for(blade).catch((error: unknown) => rethrowFor(blade, error));
    const data = this.#data.of(blade);
    const folders = await this.#foldersOf(blade);
    return { builtIn, data, folders: folders.map((folder) => ({ folder, own: folder.ownFiles(data) })) };
  }

  async #lay(blade: ResolvedBlade, { builtIn, data, folders }: Makings): Promise<LaidOver> {
    const root = new LaidOver(this.#image);
    for (const entry of builtIn.entries) await root.put(entry);
    for (const { folder, own } of folders) await folder.layOver(root, data, own);
    // Reads the image as the layers leave it: a service can come from an overlay.
    await layServices(root, await detectServiceManager(root), this.#request.fleetDir, blade, builtIn.start);
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

/** Blades of one shape have the same things laid over the image, in the same order, but for what their own files say. */
function shapeOf({ overlays, services }: ResolvedBlade, { builtIn }: Makings): string {
  const shown = builtIn.entries.map((entry) => (entry.type === 'file' ? { ...entry, content: '' } : entry));
  return JSON.stringify([shown, builtIn.start, overlays, services]);
}

function ownFilesOf({ builtIn, folders }: Makings): FileEntry[] {
  const files = builtIn.entries.filter((entry) => entry.type === 'file');
  return [...files, ...folders.flatMap(({ own }) => [...own.values()])];
}

function ignore(): void {
  // Whoever asked for it is told.
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
      rethrowAt(fleetDir, blade.name, ['services', verb, index], error),
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
