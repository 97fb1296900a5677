import { BladerootError } from '../errors.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import type { Fleet } from '../fleet/schema.ts';
import type { ImageFiles } from '../image/files.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import type { OverlayEdit, ServiceManager } from '../tree/services/service-manager.ts';
import { builtIn } from './built-in.ts';
import { editEntry, type OverlayEntry } from './entry.ts';
import { readOverlayFolder } from './folder.ts';
import { LaidOver } from './laid-over.ts';
import { secretEntries } from './secrets.ts';
import { templateData } from './template.ts';

export interface OverlayRequest {
  blade: ResolvedBlade;
  fleet: Fleet;
  /** All blades of the fleet, for hosts files and templates. */
  blades: readonly ResolvedBlade[];
  /** The folder in which `overlays/` is. */
  fleetDir: string;
  image: ImageFiles;
  /** What templates can name as `release`. */
  release?: Readonly<Record<string, unknown>>;
}

/**
 * Everything by which a blade differs from the image: what is built in, its overlay folders over that, and the services
 * that start, sorted by path. The same request gives the same entries.
 * @throws BladerootError `UNKNOWN_SERVICE`, `TEMPLATE_INVALID`, `OVERLAY_CONFLICT`, `OVERLAY_FILE`, `NO_NETWORK_CONFIG`,
 * `NO_SERVICE_MANAGER`, `SECRET_IN_CLEAR`
 */
export async function renderOverlay(request: OverlayRequest): Promise<OverlayEntry[]> {
  const { blade, blades, fleet, fleetDir, image } = request;
  const root = new LaidOver(image);
  // Reads the image as the layers leave it: a service can come from an overlay.
  const services = await detectServiceManager(root);
  const { entries, start } = await builtIn(blade, blades, image, services);
  for (const entry of entries) await root.put(entry);
  const data = templateData(blade, blades, fleet, request.release);
  for (const name of blade.overlays) {
    for (const entry of await readOverlayFolder(fleetDir, name, data)) await root.put(entry);
    for (const entry of await secretEntries(fleetDir, name)) await root.put(entry);
  }
  await layServices(root, services, blade, start);
  return root.entries();
}

/** Stops first: what is stopped takes the units along that are disabled with it, and one of those may be to start. */
async function layServices(
  root: LaidOver,
  services: ServiceManager,
  blade: ResolvedBlade,
  builtIn: readonly string[],
): Promise<void> {
  const { start, stop } = blade.services;
  const lay = async (service: string, origin: string, edits: Promise<OverlayEdit[]>): Promise<void> => {
    for (const edit of await edits.catch((error: unknown) => rethrowFor(blade, error))) {
      await root.put(editEntry(edit, `${origin}: ${service}`));
    }
  };
  const needed = builtIn.filter((service) => !stop.includes(service) && !start.includes(service));
  for (const service of stop) await lay(service, 'services.stop', services.stop(service));
  for (const service of needed) await lay(service, 'built in: service', services.start(service));
  for (const service of start) await lay(service, 'services.start', services.start(service));
}

function rethrowFor(blade: ResolvedBlade, error: unknown): never {
  if (!(error instanceof BladerootError)) throw error;
  throw new BladerootError(error.code, `blade ${blade.name}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}
