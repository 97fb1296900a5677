import { z } from 'zod';
import { eventSchema, type RecordedEvent } from '../../src/events/catalogue.ts';

const stampSchema = z.looseObject({ id: z.number(), time: z.number() });

/** An event from a line of a root's stream; undefined for a line that is none. */
export function recordedEvent(line: string): RecordedEvent | undefined {
  if (!line.startsWith('{')) return undefined;
  const { id, time, ...event } = stampSchema.parse(JSON.parse(line));
  return { ...eventSchema.parse(event), id, time };
}
