/** Asks the person at the terminal. */
import { createInterface } from 'node:readline/promises';
import { BladerootError } from '../../errors.ts';

/**
 * Whether the answer begins with y; nothing but Enter is `usual`.
 * @throws BladerootError `NO_TERMINAL` where nobody can be asked
 */
export async function confirm(
  question: string,
  signal: AbortSignal,
  usual: 'y' | 'n' = 'n',
): Promise<boolean> {
  requireTerminal();
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // The end of what is typed (Ctrl-D) is no answer.
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('n')));
  try {
    const choice = usual === 'y' ? '[Y/n]' : '[y/N]';
    const answer = await Promise.race([lines.question(`${question} ${choice} `, { signal }), ended]);
    return /^y/i.test(answer.trim() || usual);
  } finally {
    lines.close();
  }
}

export function isTerminal(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

function requireTerminal(): void {
  if (isTerminal()) return;
  throw new BladerootError(
    'NO_TERMINAL',
    'nothing is changed: there is no terminal at which to ask whether to do it',
    {
      hint: 'say -y to do it without a question',
    },
  );
}
