import { readFile } from 'node:fs/promises';
import { BladerootError } from '../../src/errors.ts';
import { run } from '../../src/system/run.ts';

/** Lines as in /etc/apt/sources.list. */
export interface AptSources {
  /** `bookworm`, say. */
  codename: string;
  /** The distribution as it stood at its last point release. */
  release: string[];
  /** What has come out since: the suites for updates and for security. */
  updates: string[];
}

/**
 * The Debian suites that this machine's apt is set up for: the names of mirrors are asked of apt, and stand nowhere else.
 * @throws BladerootError `BENCH_SUITES` when apt has no Debian, or no suite for security, here
 */
export async function aptSources(signal: AbortSignal): Promise<AptSources> {
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? '';
  const format = '$(ORIGIN) $(RELEASE) deb $(REPO_URI) $(RELEASE) $(COMPONENT)';
  const args = ['indextargets', '--format', format, 'Created-By: Packages'];
  return sourcesOf((await run('apt-get', args, { signal })).stdout, codename);
}

/** @param targets a line for each index of apt's: its origin, its suite, and its line of a sources.list */
export function sourcesOf(targets: string, codename: string): AptSources {
  const linesOf = (suites: string[]): string[] =>
    suites.flatMap((suite) => {
      const start = `Debian ${suite} `;
      const lines = targets.split('\n').filter((line) => line.startsWith(start));
      return [...new Set(lines.map((line) => line.slice(start.length)))];
    });
  const release = linesOf([codename]);
  const updates = linesOf([`${codename}-updates`, `${codename}-security`]);
  if (release.length === 0 || updates.length === 0) {
    throw new BladerootError(
      'BENCH_SUITES',
      'apt does not know both a Debian release and its security updates here',
      {
        hint: 'the bench needs a Debian machine whose apt has a suite and its -security; run `apt-get update` first',
      },
    );
  }
  return { codename, release, updates };
}
