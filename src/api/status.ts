/** `GET /api/v1/status`: who answers here, and with which release. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ReleaseStatement } from '../release/statement.ts';

export const statusSchema = z.object({
  fleet: z.string(),
  release: z.number().int(),
  /** Names of the blades that the release is for. */
  blades: z.array(z.string()),
});

export type Status = z.infer<typeof statusSchema>;

export function statusRoutes(app: FastifyInstance, current: () => ReleaseStatement): void {
  app.get('/api/v1/status', (): Status => {
    const release = current();
    return {
      fleet: release.fleet,
      release: release.sequence,
      blades: release.blades.map(({ name }) => name),
    };
  });
}
