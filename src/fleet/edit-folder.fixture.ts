/** For tests: somebody who changes one fleet folder again and again. */
import { lockFolder, proposeEdit, writeProposal } from './edit-folder.ts';

/** Gives web01 as many variables, one after the other: `a0`, `a1`, … for the name a; and the profile of that name, too. */
export async function changeAgainAndAgain(folder: string, name: string, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const unlock = await lockFolder(folder, new AbortController().signal);
    try {
      const proposal = await proposeEdit(folder, () => [
        { path: ['blades', 'web01', 'vars', `${name}${round}`], value: round },
        { path: ['profiles', `${name}${round}`], value: {} },
      ]);
      await writeProposal(folder, proposal);
    } finally {
      await unlock();
    }
  }
}

/** One edit of three files: it changes one, makes one, and removes one. */
export async function changeSeveralFiles(folder: string): Promise<void> {
  const proposal = await proposeEdit(folder, () => [
    { path: ['blades', 'web01', 'profile'], value: 'db' },
    { path: ['profiles', 'db'], value: { vars: { port: 5432 } } },
    { path: ['profiles', 'web'], value: undefined },
  ]);
  await writeProposal(folder, proposal);
}
