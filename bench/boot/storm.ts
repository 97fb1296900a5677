/** A boot storm: the power comes back, and all blades want to boot. */
import { fileURLToPath } from 'node:url';
import { makeRoomForNeighbours } from '../../src/daemon/neighbour-room.ts';
import { BLADES, startRoot } from './servers.ts';
import type { BootPart, BootSetting } from './setting.ts';

const SWITCHED_ON_SECONDS = 10;
const LIMIT_SECONDS = 60;

interface Storm {
  through: number;
  /** From the first power button to the last kernel. */
  seconds: number;
  /** Of one blade. */
  median: number;
  p99: number;
  /** Why blades did not come through, the first few. */
  reasons: string[];
}

export async function benchStorm(setting: BootSetting): Promise<BootPart> {
  // A root does it itself, and cannot in a network namespace.
  makeRoomForNeighbours(BLADES);
  const server = await startRoot(setting);
  try {
    const program = fileURLToPath(new URL('storm-blades.ts', import.meta.url));
    const command = [process.execPath, program, `${BLADES}`, `${SWITCHED_ON_SECONDS}`];
    const { stdout } = await setting.wire.runClient(command, setting.signal);
    setting.onProgress(`  ${stdout.trim()}`);
    const storm: Storm = JSON.parse(stdout);
    const what = `${BLADES} blades within ${SWITCHED_ON_SECONDS} s`;
    const limit = { unit: 'seconds' as const, beside: 'limit', theirs: LIMIT_SECONDS };
    return {
      rows: [
        {
          what: `${what}, through`,
          unit: 'files',
          ours: storm.through,
          beside: 'all',
          theirs: BLADES,
          least: 1,
        },
        { what: `${what}, all`, ...limit, ours: storm.seconds, goal: 1 },
        { what: `${what}, median`, ...limit, ours: storm.median },
        { what: `${what}, 99 of 100`, ...limit, ours: storm.p99 },
      ],
      runs: { storm, memory: server.memory() },
    };
  } finally {
    await server.stop();
  }
}
