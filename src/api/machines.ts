/** `/api/v1/machines`: the machines that have said hello, and where they say it. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EventBus } from '../events/bus.ts';
import { describeMachine, identityOf, machineSchema } from '../fleet/machine.ts';
import { identifyBlade } from '../release/identify.ts';
import type { ReleaseStatement } from '../release/statement.ts';
import type { MachineRepository } from '../state/machines.ts';

/** What a machine that says hello is told. */
export const helloAnswerSchema = z.object({
  /** The number of the current release: a machine reads it again when there is another. */
  release: z.number().int().positive(),
  /** The blade that it is, once somebody has named it. */
  blade: z.string().optional(),
});

const querySchema = z.object({ pending: z.stringbool().default(false) });

/** A machine with many disks says a few kilobytes. */
const BODY_LIMIT = 64 * 1024;

export function machineRoutes(
  app: FastifyInstance,
  bus: EventBus,
  machines: MachineRepository,
  current: () => ReleaseStatement,
): void {
  app.get('/api/v1/machines', (request) => {
    const { pending } = querySchema.parse(request.query);
    return pending ? machines.pending() : machines.all();
  });
  app.post('/api/v1/machines', { bodyLimit: BODY_LIMIT }, (request): z.infer<typeof helloAnswerSchema> => {
    const machine = machineSchema.parse(request.body);
    const { mac } = machine;
    const { sequence, blades } = current();
    const blade = identifyBlade(blades, identityOf(machine))?.name;
    const before = machines.get(mac)?.blade;
    const isNew = machines.seen(machine, Date.now());
    if (blade !== before) machines.bind(mac, blade);
    const message = describeMachine(machine);
    if (blade === undefined) {
      if (isNew || before !== undefined) bus.emit({ type: 'machine.pending', mac, message });
      return { release: sequence };
    }
    if (blade !== before) bus.emit({ type: 'machine.adopted', mac, blade, message });
    return { release: sequence, blade };
  });
}
