/**
 * What was rendered last, so that publishing again renders just what has changed. It is derived: without it, or when it
 * cannot be read, everything is rendered.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { digestSchema } from '../store/digest-schema.ts';
import { programDigest } from '../system/program-digest.ts';
import { readIfThere } from '../system/read-file.ts';
import { writeFileAtomic } from '../system/write-file.ts';

const FILE = 'rendered.json';

const blobSchema = z.object({ digest: digestSchema, bytes: z.int() });

const overlaySchema = z.object({
  /** As OverlayRenderer.inputs. */
  inputs: digestSchema,
  /** Of the archive. */
  digest: digestSchema,
  bytes: z.int(),
  /** The archive of its secrets, encrypted; absent where it has none, or no accepted identity. */
  secrets: blobSchema.optional(),
});

const recordSchema = z.object({
  program: digestSchema,
  /** The snapshot's id. */
  image: z.string(),
  overlays: z.record(z.string(), overlaySchema),
});

export type RenderedOverlay = z.output<typeof overlaySchema>;

/** What was rendered last, by the blades' names; nothing when it was for another image, or by another program. */
export async function readRendered(
  stateDirectory: string,
  image: string,
): Promise<ReadonlyMap<string, RenderedOverlay>> {
  const text = await readIfThere(join(stateDirectory, FILE));
  const record = text === undefined ? undefined : recordSchema.safeParse(parsed(text)).data;
  const fits = record?.image === image && record.program === (await programDigest());
  return new Map(fits ? Object.entries(record.overlays) : []);
}

export async function writeRendered(
  stateDirectory: string,
  image: string,
  overlays: ReadonlyMap<string, RenderedOverlay>,
): Promise<void> {
  const record = { program: await programDigest(), image, overlays: Object.fromEntries(overlays) };
  await writeFileAtomic(join(stateDirectory, FILE), `${JSON.stringify(record)}\n`, { mode: 0o600 });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
