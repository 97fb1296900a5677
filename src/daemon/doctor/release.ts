/** Whether there is something to serve: keys, a release that they have signed, and all files that it names. */
import { join } from 'node:path';
import { BladerootError } from '../../errors.ts';
import { lackingBootFiles, MEND_BOOT_FILES } from '../../release/boot-files.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import type { ReleaseStatement } from '../../release/statement.ts';
import type { Finding } from './finding.ts';

/** The release goes to the checks that come after; undefined where there is none that can be served. */
export async function checkRelease(
  stateDirectory: string,
): Promise<{ findings: Finding[]; release: ReleaseStatement | undefined }> {
  const check = 'release';
  try {
    const current = await new ReleaseRepository(
      stateDirectory,
      await readPublicKey(stateDirectory),
    ).current();
    if (current === undefined) {
      const message = `there is no release in ${stateDirectory}`;
      const hint = 'make one with `bladeroot release publish`';
      return { findings: [{ check, level: 'failure', message, hint }], release: undefined };
    }
    const { sequence, blades } = current.statement;
    const number = `${blades.length} ${blades.length === 1 ? 'blade' : 'blades'}`;
    const message = `release ${sequence} for ${number}, its signature is good`;
    const findings: Finding[] = [{ check, level: 'ok', message }];
    findings.push(await checkFiles(stateDirectory, current.statement));
    return { findings, release: current.statement };
  } catch (error) {
    if (!(error instanceof BladerootError)) throw error;
    const { message, hint } = error;
    return {
      findings: [{ check, level: 'failure', message, ...(hint === undefined ? {} : { hint }) }],
      release: undefined,
    };
  }
}

async function checkFiles(stateDirectory: string, release: ReleaseStatement): Promise<Finding> {
  const check = 'files';
  const lacking = await lackingBootFiles(join(stateDirectory, 'store'), release);
  if (lacking.length > 0)
    return { check, level: 'failure', message: lacking.join('; '), hint: MEND_BOOT_FILES };
  if (Object.keys(release.loaders).length === 0) {
    const hint = 'install the package ipxe and publish again';
    return { check, level: 'failure', message: 'the release has no loader for any firmware', hint };
  }
  const loaders = Object.keys(release.loaders).join(', ');
  return { check, level: 'ok', message: `kernel, initrd and loaders (${loaders}) are there` };
}
