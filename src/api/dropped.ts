/** `GET /api/v1/dropped`: how much came in that was no packet or request, by kind, since the root was started. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { DROPPED_KINDS, type DroppedPackets } from '../serve/dropped.ts';

export const droppedSchema = z.array(
  z.object({
    kind: z.enum(DROPPED_KINDS),
    count: z.number().int().nonnegative(),
    last: z.object({ time: z.number(), from: z.string(), reason: z.string() }).optional(),
  }),
);

export function droppedRoutes(app: FastifyInstance, dropped: DroppedPackets): void {
  app.get('/api/v1/dropped', (): z.infer<typeof droppedSchema> => dropped.all());
}
