/** What is found wrong in a store, and what came of mending it. */
import { BladerootError, describeError, errorCode } from '../errors.ts';

export interface Problem {
  /** What it is about: a path in the store, or of a release. */
  path: string;
  /** What is wrong with it, and why it was not mended where that was tried. */
  message: string;
  mended: boolean;
}

/** Says what is wrong with a thing, a line each; or throws it. */
export type Check = () => Promise<readonly string[]>;

export class Findings {
  readonly problems: Problem[] = [];

  /** Notes what is wrong with a thing. Returns whether it is sound. */
  async look(path: string, check: Check): Promise<boolean> {
    const messages = await said(check);
    for (const message of messages) this.problems.push({ path, message, mended: false });
    return messages.length === 0;
  }

  /** The same, and mends it if need be. Returns whether it is sound in the end. */
  async lookAndMend(path: string, check: Check, mend: (() => Promise<void>) | undefined): Promise<boolean> {
    const before = await said(check);
    if (before.length === 0) return true;
    const failure = mend === undefined ? undefined : await failureOf(mend);
    const after = mend === undefined ? before : await said(check);
    for (const message of new Set([...before, ...after])) {
      const mended = !after.includes(message);
      const why = mended || failure === undefined ? '' : `; not mended: ${failure}`;
      this.problems.push({ path, message: `${message}${why}`, mended });
    }
    return after.length === 0;
  }
}

/** What a check says, or the error that it throws: of what is stored, not of this machine. */
async function said(check: Check): Promise<readonly string[]> {
  try {
    return await check();
  } catch (error) {
    return [whatIsWrong(error)];
  }
}

async function failureOf(mend: () => Promise<void>): Promise<string | undefined> {
  try {
    await mend();
    return undefined;
  } catch (error) {
    return whatIsWrong(error);
  }
}

/** @throws what is no fault of the store: a full disk, or Ctrl-C */
function whatIsWrong(error: unknown): string {
  if (error instanceof BladerootError) return error.message;
  // A sector that cannot be read.
  if (errorCode(error) === 'EIO') return describeError(error);
  throw error;
}
