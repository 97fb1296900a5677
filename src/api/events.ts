/** `GET /api/v1/events`: what has happened since event number `since`, and with `follow` what goes on happening. */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EventBus } from '../events/bus.ts';
import type { RecordedEvent } from '../events/catalogue.ts';
import type { EventRepository } from '../state/events.ts';

const querySchema = z.object({
  since: z.coerce.number().int().nonnegative().default(0),
  follow: z.stringbool().default(false),
});

/** A reader that is further behind than this is cut off, in bytes; it can come back with `since`. */
const MAX_BEHIND = 4 * 1024 * 1024;

export function eventRoutes(app: FastifyInstance, bus: EventBus, events: EventRepository): void {
  app.get('/api/v1/events', { exposeHeadRoute: false }, async (request, reply) => {
    const { since, follow } = querySchema.parse(request.query);
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
    // A follower knows that it follows before anything happens.
    response.flushHeaders();
    bus.flush();
    for (let last: number | undefined = since; last !== undefined;) {
      if (response.destroyed) return;
      const page: RecordedEvent[] = events.since(last);
      last = page.at(-1)?.id;
      if (!response.write(page.map(lineOf).join('')) && last !== undefined) await drained(response);
    }
    // Nothing is awaited between the last look into the history and here: no event falls between the two.
    if (!follow) {
      response.end();
      return;
    }
    const unsubscribe = bus.subscribe((event) => {
      if (response.writableLength > MAX_BEHIND) response.destroy();
      else response.write(lineOf(event));
    });
    response.once('close', unsubscribe);
  });
}

/** Resolves when the reader has taken what was written, and when it has gone away. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}

function lineOf(event: RecordedEvent): string {
  return `${JSON.stringify(event)}\n`;
}
