/** Tells what is in a directory, with nothing of the pack code: describe-tree.py says how. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { run } from '../../system/run.ts';

const CHECKER = fileURLToPath(new URL('describe-tree.py', import.meta.url));

/** One line of JSON a thing; two trees that cannot be told apart give the same. */
export async function describeTree(directory: string): Promise<string[]> {
  const { stdout } = await run('python3', ['-I', '-S', CHECKER, directory]);
  return stdout.split('\n').slice(0, -1);
}

/** Requires that a directory cannot be told from another, or from what another was like. */
export async function assertSameTree(actual: string, expected: string | readonly string[]): Promise<void> {
  const found = await describeTree(actual);
  const wanted = typeof expected === 'string' ? await describeTree(expected) : expected;
  const [has, should] = [new Set(found), new Set(wanted)];
  const surplus = found.filter((line) => !should.has(line)).map((line) => `is: ${shortened(line)}`);
  const missing = wanted.filter((line) => !has.has(line)).map((line) => `should be: ${shortened(line)}`);
  const differences = [...surplus.slice(0, DIFFERENCES_NAMED), ...missing.slice(0, DIFFERENCES_NAMED)];
  assert.equal(differences.length, 0, `${actual}: ${differences.join('\n')}`);
  assert.equal(found.length, wanted.length);
}

const DIFFERENCES_NAMED = 5;

function shortened(line: string): string {
  return line.length <= 600 ? line : `${line.slice(0, 300)} … ${line.slice(-300)}`;
}
