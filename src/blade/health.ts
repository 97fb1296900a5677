/** Whether a blade is what it is there for: the checks of its `health:`, looked at again and again until all pass. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import type { BladeHealth } from '../release/statement.ts';
import { run } from '../system/run.ts';
import type { RunningServices } from './running-services.ts';

/** What a blade without `health:` has. */
export const DEFAULT_HEALTH: BladeHealth = { command: [], http: [], tcp: [], unit: [], mayFail: [] };

const DEFAULT_TIMEOUT_S = 300;
const DEFAULT_PERIOD_S = 5;
/** A check that hangs has failed; the next round asks again. */
const CHECK_TIMEOUT_MS = 10_000;

export interface HealthRequest {
  health: BladeHealth;
  services: Pick<RunningServices, 'settled' | 'failed' | 'isRunning'>;
  /** Also once the time is over, as where there is nothing to fall back to. */
  forEver: boolean;
  signal: AbortSignal;
  /** What is wrong, whenever that has changed. */
  onUnhealthy?(why: string): void;
}

/**
 * Looks until all is well at once, or the time is over.
 * @returns undefined when all is well, or else what was wrong at the last look
 */
export async function untilHealthy(request: HealthRequest): Promise<string | undefined> {
  const { health, signal } = request;
  const { timeout = DEFAULT_TIMEOUT_S, period = DEFAULT_PERIOD_S } = health;
  const late = request.forEver ? undefined : AbortSignal.timeout(timeout * 1000);
  const both = late === undefined ? signal : AbortSignal.any([signal, late]);
  let wrong = `the services have not started within ${timeout} s`;
  try {
    await request.services.settled(both);
    for (;;) {
      const now = await whatIsWrong(request, both);
      if (now === undefined) return undefined;
      if (now !== wrong) request.onUnhealthy?.(now);
      wrong = now;
      await wait(period * 1000, undefined, { signal: both });
    }
  } catch (error) {
    if (late?.aborted !== true || signal.aborted) throw error;
    return wrong;
  }
}

type Check = [name: string, passes: (signal: AbortSignal) => Promise<void>];

async function whatIsWrong(
  { health, services }: HealthRequest,
  signal: AbortSignal,
): Promise<string | undefined> {
  const checks: Check[] = [
    ['services', () => noneFailed(services, health.mayFail)],
    ...health.unit.map((unit): Check => [`unit ${unit}`, () => isRunning(services, unit)]),
    ...health.command.map((command): Check => [`command ${command}`, (own) => endsWell(command, own)]),
    ...health.http.map((url): Check => [`http ${url}`, (own) => answersWell(url, own)]),
    ...health.tcp.map((port): Check => [`tcp ${port}`, (own) => takesConnection(port, own)]),
  ];
  const results = await Promise.all(
    checks.map(async ([name, check]) => {
      const own = AbortSignal.timeout(CHECK_TIMEOUT_MS);
      try {
        await check(AbortSignal.any([signal, own]));
        return [];
      } catch (error) {
        signal.throwIfAborted();
        return [`${name}: ${own.aborted ? 'no answer' : describeError(error)}`];
      }
    }),
  );
  const wrong = results.flat();
  return wrong.length === 0 ? undefined : wrong.join('; ');
}

async function noneFailed(services: HealthRequest['services'], mayFail: readonly string[]): Promise<void> {
  const failed = (await services.failed()).filter(
    (name) => !mayFail.includes(name.replace(/\.service$/, '')),
  );
  if (failed.length > 0) throw new Error(`${failed.join(', ')} failed`);
}

async function isRunning(services: HealthRequest['services'], unit: string): Promise<void> {
  if (!(await services.isRunning(unit))) throw new Error('it is not running');
}

async function endsWell(command: string, signal: AbortSignal): Promise<void> {
  await run('/bin/sh', ['-c', command], { signal });
}

async function answersWell(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { redirect: 'manual', signal });
  await response.body?.cancel();
  if (response.status >= 400) throw new Error(`it answers ${response.status}`);
}

async function takesConnection(where: string, signal: AbortSignal): Promise<void> {
  const [port, host = 'localhost'] = where.split(':').reverse();
  const socket = connect({ host, port: Number(port), autoSelectFamily: true });
  try {
    await once(socket, 'connect', { signal });
  } finally {
    socket.destroy();
  }
}
