/** `/api/v1/machines`: the machines that have said hello, and where they say it. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EventBus } from '../events/bus.ts';
import { describeMachine, identityOf, machineSchema, type Machine } from '../fleet/machine.ts';
import { identifyBlade } from '../release/identify.ts';
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import type { KnownMachine, MachineRepository } from '../state/machines.ts';

/** What a machine that says hello is told. */
export const helloAnswerSchema = z.object({
  /** The number of the current release: a machine reads it again when there is another. */
  release: z.number().int().positive(),
  /** The blade that it is, once somebody has named it. */
  blade: z.string().optional(),
  /** Why it is not the blade whose serial number or GUID it has. */
  refused: z.string().optional(),
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
    const named = identifyBlade(blades, identityOf(machine));
    const refused = named === undefined ? undefined : whyRefused(machine, named, machines.holder(named.name));
    const blade = refused === undefined ? named?.name : undefined;
    const before = machines.get(mac)?.blade;
    const isNew = machines.seen(machine, Date.now(), request.ip);
    if (blade !== before) machines.bind(mac, blade);
    const message = describeMachine(machine);
    if (blade !== undefined) {
      if (blade !== before) bus.emit({ type: 'machine.adopted', mac, blade, message });
      return { release: sequence, blade };
    }
    const isNews = isNew || before !== undefined;
    if (named !== undefined && refused !== undefined) {
      if (isNews) bus.emit({ type: 'machine.refused', mac, blade: named.name, message: refused });
      return { release: sequence, refused };
    }
    if (isNews) bus.emit({ type: 'machine.pending', mac, message });
    return { release: sequence };
  });
}

/**
 * Makers give several machines one serial number, or one GUID. The first that says hello is the blade; a machine that has
 * a card in common with it is the same one. Undefined: it is not refused.
 */
function whyRefused(
  machine: Machine,
  blade: ReleaseBlade,
  holder: KnownMachine | undefined,
): string | undefined {
  if (holder === undefined || blade.mac !== undefined) return undefined;
  const its = identityOf(holder.machine);
  const isSame = identityOf(machine).macs.some((mac) => its.macs.includes(mac));
  // fleet.yaml may mean another machine by that name meanwhile.
  if (isSame || identifyBlade([blade], its) === undefined) return undefined;
  const what = blade.serial !== undefined && blade.serial === machine.serial ? 'serial number' : 'GUID';
  return `it has the ${what} of ${blade.name}, which the machine ${holder.machine.mac} is already: write mac: for ${blade.name} into fleet.yaml, or adopt this one under a name of its own`;
}
