/** Commands that do the same job, side by side. */
import { measure, type Cost } from './measure.ts';

export interface Entrant {
  name: string;
  command: string[];
  /** Brings everything back to where the command starts from; not part of what is measured. */
  prepare: () => Promise<void>;
  /** For a peer: what we may take at most, as a multiple of what it takes. */
  goal?: number;
}

export interface ContestOptions {
  /** How often each is timed. */
  rounds: number;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

export interface Result {
  name: string;
  /** The least of all rounds: whatever else the machine did can only have added to it. */
  seconds: number;
  cpuSeconds: number;
  /** Bytes of all its processes together. */
  peakBytes: number;
  /** Seconds of each round. */
  runs: number[];
  /** Of the last round. */
  stdout: string;
  goal: number | undefined;
}

export interface Contest {
  ours: Result;
  peers: Result[];
}

/**
 * Runs all entrants in turns, so that a slow minute of the machine is everybody's. A first round reads everything into
 * the page cache and watches memory, which costs time; it is not timed.
 */
export async function contest(
  title: string,
  ours: Entrant,
  peers: Entrant[],
  options: ContestOptions,
): Promise<Contest> {
  const costs = new Map<Entrant, Cost[]>();
  for (let round = 0; round <= options.rounds; round++) {
    for (const entrant of [ours, ...peers]) {
      const which = round === 0 ? 'memory' : `round ${round} of ${options.rounds}`;
      options.onProgress(`${title}, ${which}: ${entrant.name}`);
      await entrant.prepare();
      const cost = await measure(entrant.command, { memory: round === 0, signal: options.signal });
      options.onProgress(`  ${cost.seconds.toFixed(1)} s, ${cost.cpuSeconds.toFixed(1)} s of CPU`);
      costs.set(entrant, [...(costs.get(entrant) ?? []), cost]);
    }
  }
  const resultOf = (entrant: Entrant): Result => summary(entrant, costs.get(entrant) ?? []);
  return { ours: resultOf(ours), peers: peers.map(resultOf) };
}

function summary({ name, goal }: Entrant, [first, ...timed]: Cost[]): Result {
  const runs = timed.map(({ seconds }) => seconds);
  return {
    name,
    seconds: Math.min(...runs),
    cpuSeconds: Math.min(...timed.map(({ cpuSeconds }) => cpuSeconds)),
    peakBytes: first?.peakBytes ?? 0,
    runs,
    stdout: timed.at(-1)?.stdout ?? '',
    goal,
  };
}
