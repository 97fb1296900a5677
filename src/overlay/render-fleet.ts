import type { ResolvedBlade } from '../fleet/resolve.ts';
import type { Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { encodeOverlay } from './archive.ts';
import { isSecret, type OverlayEntry } from './entry.ts';
import { OverlayRenderer, type FleetOverlays } from './render.ts';
import type { RenderedOverlay } from './rendered.ts';
import type { StartedAnyway } from './started-anyway.ts';

/** Archives that are written to the disk while further ones are rendered. */
const WRITTEN_AT_ONCE = 16;

export interface FleetRequest extends FleetOverlays {
  store: Store;
  /** Those of `blades` that are rendered, all when left out; the others are only there for templates to know. */
  toRender?: readonly ResolvedBlade[];
  /** What was rendered for these blades before, of this image and by this program. */
  before: ReadonlyMap<string, RenderedOverlay>;
  signal?: AbortSignal | undefined;
}

export interface RenderedFleet {
  /** By the blade's name. */
  overlays: Map<string, RenderedOverlay>;
  /** How many had to be rendered; the others are as they were before. */
  rendered: number;
  /** Of those that were rendered, by the blade's name. */
  startedAnyway: Map<string, readonly StartedAnyway[]>;
}

/**
 * Renders overlays of blades into the store, but for those that would be what they were before.
 * @throws as OverlayRenderer, and what the store throws
 */
export async function renderFleet(request: FleetRequest): Promise<RenderedFleet> {
  const { store, before, blades, toRender = blades, signal } = request;
  const renderer = new OverlayRenderer(request);
  const overlays = new Map<string, RenderedOverlay>();
  const waiting = toRender.values();
  const startedAnyway = new Map<string, readonly StartedAnyway[]>();

  const overlayOf = async (blade: ResolvedBlade): Promise<RenderedOverlay> => {
    const inputs = await renderer.inputs(blade);
    const last = before.get(blade.name);
    if (last?.inputs === inputs && (await hasAll(store, last))) return last;
    const { entries, ...made } = await renderer.render(blade);
    startedAnyway.set(blade.name, made.startedAnyway);
    const secrets = blade.recipient === undefined ? [] : entries.filter(isSecret);
    return {
      inputs,
      ...(await put(entries.filter((entry) => !isSecret(entry)))),
      ...(secrets.length === 0 ? {} : { secrets: await put(secrets) }),
    };
  };
  const put = async (entries: OverlayEntry[]): Promise<{ digest: Digest; bytes: number }> => {
    const archive = encodeOverlay(entries);
    return { digest: await store.putBlob(archive, { syncName: false }), bytes: archive.length };
  };
  let ended = false;
  const work = async (): Promise<void> => {
    for (const blade of waiting) {
      if (ended) return;
      signal?.throwIfAborted();
      overlays.set(blade.name, await overlayOf(blade));
    }
  };
  const workers = Array.from({ length: WRITTEN_AT_ONCE }, work);
  try {
    await Promise.all(workers);
  } finally {
    ended = true;
    // What is being written is written to its end: who calls may remove the store.
    await Promise.allSettled(workers);
  }
  await store.syncBlobs();
  return { overlays, rendered: startedAnyway.size, startedAnyway };
}

async function hasAll(store: Store, { digest, secrets }: RenderedOverlay): Promise<boolean> {
  return (await store.hasBlob(digest)) && (secrets === undefined || (await store.hasBlob(secrets.digest)));
}
