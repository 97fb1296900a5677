/** `POST /api/v1/reports`: what a blade says of itself, one of the reports of events/catalogue.ts. */
import type { FastifyInstance } from 'fastify';
import type { EventBus } from '../events/bus.ts';
import { reportSchema } from '../events/catalogue.ts';

/** @param isBlade whether the current release knows a blade of that name. */
export function reportRoutes(app: FastifyInstance, bus: EventBus, isBlade: (name: string) => boolean): void {
  app.post('/api/v1/reports', { bodyLimit: 16 * 1024 }, async (request, reply) => {
    const report = reportSchema.parse(request.body);
    if (!isBlade(report.blade)) {
      return await reply
        .code(404)
        .send({ code: 'UNKNOWN_BLADE', message: `there is no blade ${report.blade}` });
    }
    bus.emit(report);
    return await reply.code(204).send();
  });
}
