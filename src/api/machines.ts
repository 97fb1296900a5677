/** `/api/v1/machines`: the machines that have said hello, and where they say it. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EventBus } from '../events/bus.ts';
import type { BladerootEvent } from '../events/catalogue.ts';
import { describeMachine, identityOf, machineSchema, type Machine } from '../fleet/machine.ts';
import { acceptanceOf, identifyBlade } from '../release/identify.ts';
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import { fingerprint } from '../secrets/fingerprint.ts';
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

/** A machine with sixty disks and their partitions says some hundred kilobytes. */
const BODY_LIMIT = 512 * 1024;

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
    const { sequence, blades } = current();
    const named = identifyBlade(blades, identityOf(machine));
    const refused = named === undefined ? undefined : whyRefused(machine, named, machines.holder(named.name));
    const blade = refused === undefined ? named : undefined;
    const before = machines.get(machine.mac);
    const isNew = machines.seen(machine, Date.now(), request.ip);
    if (blade?.name !== before?.blade) machines.bind(machine.mac, blade?.name);
    if (named !== undefined && refused !== undefined) {
      const { mac } = machine;
      if (isNew || before?.blade !== undefined)
        bus.emit({ type: 'machine.refused', mac, blade: named.name, message: refused });
      return { release: sequence, refused };
    }
    for (const event of eventsOf(machine, { blade, before, isNew })) bus.emit(event);
    return { release: sequence, ...(blade === undefined ? {} : { blade: blade.name }) };
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
  // Somebody has accepted this very machine.
  if (blade.recipient !== undefined && blade.recipient === machine.recipient) return undefined;
  const its = identityOf(holder.machine);
  const isSame = identityOf(machine).macs.some((mac) => its.macs.includes(mac));
  // fleet.yaml may mean another machine by that name meanwhile.
  if (isSame || identifyBlade([blade], its) === undefined) return undefined;
  const what = blade.serial !== undefined && blade.serial === machine.serial ? 'serial number' : 'GUID';
  return `it has the ${what} of ${blade.name}, which the machine ${holder.machine.mac} is already: write mac: for ${blade.name} into fleet.yaml, or adopt this one under a name of its own`;
}

interface Hello {
  blade: ReleaseBlade | undefined;
  /** What was known of it before. */
  before: KnownMachine | undefined;
  /** Whether it says something else than before. */
  isNew: boolean;
}

/** What is worth telling of a hello: a machine that waits says the same every two seconds. */
function eventsOf(machine: Machine, { blade, before, isNew }: Hello): BladerootEvent[] {
  const { mac, recipient } = machine;
  const message = describeMachine(machine);
  if (blade === undefined) {
    return isNew || before?.blade !== undefined ? [{ type: 'machine.pending', mac, message }] : [];
  }
  const { name } = blade;
  const isOther = before?.blade !== name;
  // Who was written into fleet.yaml by its MAC has not waited for a name.
  const hasWaited = before !== undefined || blade.mac === undefined;
  const adopted =
    isOther && hasWaited ? [{ type: 'machine.adopted' as const, mac, blade: name, message }] : [];
  if (recipient === undefined) return adopted;
  const known = { mac, blade: name, recipient };
  switch (acceptanceOf(blade, recipient)) {
    case 'accepted':
      return adopted;
    case 'unapproved': {
      const what = `${message}: its identity ${fingerprint(recipient)} waits for approval`;
      return isNew || isOther
        ? [...adopted, { type: 'machine.unapproved', ...known, message: what }]
        : adopted;
    }
    case 'other-identity': {
      const what = `${message}: its identity ${fingerprint(recipient)} is not the accepted one, and it gets no secrets`;
      return [...adopted, { type: 'machine.other-identity', ...known, message: what }];
    }
  }
}
