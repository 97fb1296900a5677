import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/system/run.ts';
import type { Lab } from '../lab.ts';
import { OBSERVER } from '../segment.ts';
import type { DemoBlade } from './fleet-folder.ts';

/** The lab's own ssh key: it is on every blade, through an overlay. */
export class LabKey {
  readonly path: string;
  readonly publicKey: string;

  private constructor(path: string, publicKey: string) {
    this.path = path;
    this.publicKey = publicKey;
  }

  static async open(directory: string): Promise<LabKey> {
    const path = join(directory, 'id_ed25519');
    await mkdir(directory, { recursive: true });
    if ((await stat(path).catch(() => undefined)) === undefined) {
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bladeroot lab', '-f', path]);
    }
    return new LabKey(path, await readFile(`${path}.pub`, 'utf8'));
  }

  /** Blades are made anew in each run, so their host keys are not remembered. */
  sshArgs(blade: DemoBlade): string[] {
    const options = ['BatchMode=yes', 'ConnectTimeout=20', 'LogLevel=ERROR', 'StrictHostKeyChecking=no'];
    const known = ['UserKnownHostsFile=/dev/null'];
    return [
      '-i',
      this.path,
      ...[...options, ...known].flatMap((option) => ['-o', option]),
      `root@${blade.address}`,
    ];
  }
}

/** A shell on a running blade, from the lab's place on the segment. */
export class BladeShell {
  readonly #lab: Lab;
  readonly #key: LabKey;
  readonly #signal: AbortSignal;

  constructor(lab: Lab, key: LabKey, signal: AbortSignal) {
    this.#lab = lab;
    this.#key = key;
    this.#signal = signal;
  }

  /** Runs a line of shell on the blade and returns what it printed, without the last line's end. Fails as `run` does. */
  async on(blade: DemoBlade, line: string): Promise<string> {
    const args = [...this.#key.sshArgs(blade), line];
    const { stdout } = await this.#lab.exec(OBSERVER, 'ssh', args, { signal: this.#signal });
    return stdout.trimEnd();
  }

  /** What a web server on the blade answers. */
  async get(url: string): Promise<string> {
    const args = ['--silent', '--show-error', '--fail', '--max-time', '20', url];
    const { stdout } = await this.#lab.exec(OBSERVER, 'curl', args, { signal: this.#signal });
    return stdout.trimEnd();
  }
}
