/**
 * `npm run bench:overlay`: how long it takes to render the overlays of a thousand blades. Progress goes to stderr, the
 * table to stdout, everything as JSON to a file.
 */
import { join } from 'node:path';
import { goldenTree } from '../lab/demo/golden-tree.ts';
import type { Output } from '../src/cli/output.ts';
import { machineHere } from './machine.ts';
import { benchRender } from './overlay/render.ts';
import { benchCommand, inWorkFolder, LAB, runBench, writeReport, type BenchOptions } from './program.ts';

const PARTS = { render: benchRender };

interface Options extends BenchOptions<keyof typeof PARTS> {
  /** Where the tree is kept. */
  cache: string;
}

async function bench({ cache, rounds, json }: Options, output: Output, signal: AbortSignal): Promise<void> {
  await inWorkFolder('overlay', async (work) => {
    const onProgress = (line: string): void => output.step(line);
    const { directory: tree } = await goldenTree(cache, { signal, onLine: onProgress });
    const date = new Date().toISOString();
    const { rows, runs } = await PARTS.render({ tree, work, rounds, signal, onProgress });
    const machine = await machineHere(LAB, ['tar']);
    await writeReport(json, rows, { date, machine, rounds, runs }, output);
  });
}

await runBench(
  benchCommand('overlay', 'Renders the overlays of a thousand blades on a Debian tree.', PARTS).option(
    '--cache <dir>',
    "where the lab's tree is kept, or made",
    join(LAB, 'cache'),
  ),
  bench,
);
