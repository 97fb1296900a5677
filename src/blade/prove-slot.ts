/** Finds out whether the running slot is good, and goes back to the last good one if it is not. */
import { describeError } from '../errors.ts';
import type { BootStep, StepReport } from '../events/catalogue.ts';
import type { BladeHealth } from '../release/statement.ts';
import { markGood, readChoice, startableSlots, writeChoice, type Esps } from './grub/esp.ts';
import { DEFAULT_HEALTH, untilHealthy, type HealthRequest } from './health.ts';
import { readBladeState, writeBladeState, type BladeState, type Slot } from './state.ts';
import { afterFailure, choiceOfGood, condemned, failedTrial, type Running } from './trial.ts';

export interface ProofRequest {
  stateDirectory: string;
  esp: Esps;
  /** The slot that runs. */
  slot: Slot;
  health: BladeHealth | undefined;
  services: HealthRequest['services'];
  signal: AbortSignal;
  /** Has the machine go down, and start anew. */
  restart(): Promise<void>;
  report(step: BootStep, state: StepReport['state'], message: string): Promise<void>;
}

export type Proof =
  /** The machine is going down. */
  | { kind: 'restarting' }
  /** `wrong`: it is not healthy, and stays up all the same; `later` ends once it has become so. */
  | { kind: 'up'; state: BladeState; wrong: string | undefined; later: Promise<void> };

/** A slot that has proved good is up when its services are; any other has to be healthy in its time. */
export async function proveSlot(request: ProofRequest): Promise<Proof> {
  const { esp, slot, services, signal, report } = request;
  const state = await noteFailedTrial(request);
  const wasGood = state.slots[slot]?.good === true;
  if (wasGood) {
    await writeChoice(esp, choiceOfGood(await runningNow(request, state)));
    await services.settled(signal);
    return { kind: 'up', state, wrong: undefined, later: Promise.resolve() };
  }
  void report('health', 'started', `slot ${slot} has to prove good`);
  const wrong = await becomeHealthy(request, false);
  if (wrong === undefined) return { kind: 'up', state, wrong, later: Promise.resolve() };
  return await fail(request, wrong);
}

/** What GRUB has tried twice, and what is not running all the same, is not installed again. */
async function noteFailedTrial({ stateDirectory, esp, slot }: ProofRequest): Promise<BladeState> {
  const state = await stateOf(stateDirectory);
  const release = failedTrial({ state, choice: await readChoice(esp), slot });
  if (release === undefined) return state;
  const at = new Date().toISOString();
  const noted = condemned(state, { release, reason: 'it was started twice and did not come up', at });
  await writeBladeState(stateDirectory, noted);
  return noted;
}

/** GRUB learns it first: blade.json is what permits that the other slot is written. */
async function becomeHealthy(request: ProofRequest, forEver: boolean): Promise<string | undefined> {
  const { stateDirectory, esp, slot, services, signal, report, health = DEFAULT_HEALTH } = request;
  const onUnhealthy = (why: string): void => void report('health', 'progress', `not healthy yet: ${why}`);
  const wrong = await untilHealthy({ health, services, forEver, signal, onUnhealthy });
  if (wrong !== undefined) return wrong;
  await markGood(esp, slot);
  const state = await stateOf(stateDirectory);
  const installed = state.slots[slot];
  if (installed !== undefined) {
    const slots = { ...state.slots, [slot]: { ...installed, good: true } };
    await writeBladeState(stateDirectory, { ...state, slots });
  }
  void report('health', 'done', `slot ${slot} is good`);
  return undefined;
}

async function fail(request: ProofRequest, wrong: string): Promise<Proof> {
  const { stateDirectory, esp, slot, report } = request;
  const state = await stateOf(stateDirectory);
  const next = afterFailure(await runningNow(request, state));
  const release = state.slots[slot]?.release ?? 0;
  if (next.kind === 'stay') {
    await report('health', 'failed', `not healthy: ${wrong}; there is no other good slot to fall back to`);
    const later = becomeHealthy(request, true).then(
      () => undefined,
      async (error: unknown) => {
        if (!request.signal.aborted) await report('health', 'failed', describeError(error));
      },
    );
    return { kind: 'up', state, wrong, later };
  }
  if (next.kind === 'give-up') {
    const at = new Date().toISOString();
    await writeBladeState(stateDirectory, condemned(state, { release, reason: wrong.slice(0, 1000), at }));
  }
  await writeChoice(esp, next.choice);
  const then = next.kind === 'retry' ? 'trying it once more' : `going back to slot ${next.to}`;
  await report('health', 'failed', `release ${release} is not healthy: ${wrong}; ${then}`);
  await request.restart();
  return { kind: 'restarting' };
}

async function runningNow({ esp, slot }: ProofRequest, state: BladeState): Promise<Running> {
  return { state, slot, choice: await readChoice(esp), there: await startableSlots(esp) };
}

async function stateOf(stateDirectory: string): Promise<BladeState> {
  const state = await readBladeState(stateDirectory);
  if (state === undefined) throw new Error(`${stateDirectory} has lost its blade.json`);
  return state;
}
