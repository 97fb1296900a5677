import { BladerootError } from '../errors.ts';
import { display, type BytePath } from './byte-path.ts';
import type { FileProblem } from './pack-worker.ts';

/** How many problems an error names. */
const PROBLEMS_NAMED = 5;

/** What is not as a walk saw it. */
export class TreeProblems {
  readonly #found = new Map<BytePath, FileProblem>();

  note(path: BytePath, problem: FileProblem | undefined): void {
    if (problem !== undefined && this.#found.get(path) !== 'vanished') this.#found.set(path, problem);
  }

  get(path: BytePath): FileProblem | undefined {
    return this.#found.get(path);
  }

  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  /** @throws BladerootError `TREE_CHANGED` when there are any */
  requireNone(): void {
    if (this.isEmpty) return;
    const problems = [...this.#found].map(([path, problem]) => `${display(path)} ${problem}`);
    const named = problems.slice(0, PROBLEMS_NAMED).join(', ');
    const more = problems.length > PROBLEMS_NAMED ? `, and ${problems.length - PROBLEMS_NAMED} more` : '';
    throw new BladerootError('TREE_CHANGED', `the tree changed while it was being packed: ${named}${more}`, {
      hint: 'nothing may change a tree while it is being packed; --live packs it as it is found',
    });
  }

  /** What became of each. @param packed what is in the snapshot all the same */
  notes(packed: ReadonlySet<BytePath>): string[] {
    return Array.from(this.#found, ([path, problem]) => {
      const what = packed.has(path) ? 'it is packed as it was found' : 'it is left out';
      return `${display(path)} ${problem}; ${what}`;
    });
  }
}
