import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ProgramFailed, run } from '../../src/system/run.ts';
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
  sshArgs(blade: Pick<DemoBlade, 'address'>): string[] {
    const options = ['BatchMode=yes', 'LogLevel=ERROR', 'StrictHostKeyChecking=no'];
    // A blade that is cut off while it answers says no more.
    const patience = ['ConnectTimeout=20', 'ServerAliveInterval=15'];
    const known = ['UserKnownHostsFile=/dev/null'];
    return [
      '-i',
      this.path,
      ...[...options, ...patience, ...known].flatMap((option) => ['-o', option]),
      `root@${blade.address}`,
    ];
  }
}

/** ssh's own exit status when it does not reach the other side. */
const SSH_FAILED = 255;
const SSH_WITHIN_MS = 60_000;

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

  /**
   * Runs a line of shell on the blade and returns what it printed, without the last line's end. A blade whose sshd does not
   * answer yet is waited for. Fails as `run` does.
   */
  async on(blade: Pick<DemoBlade, 'address'>, line: string): Promise<string> {
    const args = [...this.#key.sshArgs(blade), line];
    const deadline = performance.now() + SSH_WITHIN_MS;
    for (;;) {
      try {
        const { stdout } = await this.#lab.exec(OBSERVER, 'ssh', args, { signal: this.#signal });
        return stdout.trimEnd();
      } catch (error) {
        const refused = error instanceof ProgramFailed && error.status === SSH_FAILED;
        if (!refused || performance.now() > deadline) throw error;
      }
      await wait(1000, undefined, { signal: this.#signal });
    }
  }

  /** What a web server on the blade answers. */
  async get(url: string): Promise<string> {
    const args = ['--silent', '--show-error', '--fail', '--max-time', '20', url];
    const { stdout } = await this.#lab.exec(OBSERVER, 'curl', args, { signal: this.#signal });
    return stdout.trimEnd();
  }
}
