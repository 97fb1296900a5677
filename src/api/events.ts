/** `GET /api/v1/events`: what has happened since event number `since`, and with `follow` what goes on happening. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EventBus } from '../events/bus.ts';
import type { EventRepository } from '../state/events.ts';

const querySchema = z.object({
  since: z.coerce.number().int().nonnegative().default(0),
  follow: z.stringbool().default(false),
});

/** A reader that is further behind than this is cut off, in bytes; it can come back with `since`. */
const MAX_BEHIND = 4 * 1024 * 1024;

export function eventRoutes(app: FastifyInstance, bus: EventBus, events: EventRepository): void {
  app.get('/api/v1/events', (request, reply) => {
    const { since, follow } = querySchema.parse(request.query);
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
    for (const event of events.since(since)) response.write(`${JSON.stringify(event)}\n`);
    if (!follow) {
      response.end();
      return;
    }
    const unsubscribe = bus.subscribe((event) => {
      if (response.writableLength > MAX_BEHIND) response.destroy();
      else response.write(`${JSON.stringify(event)}\n`);
    });
    response.once('close', unsubscribe);
  });
}
