/** The service manager that this blade runs under, by its own programs. */
import { setTimeout as wait } from 'node:timers/promises';
import { exists, namesIn } from '../system/read-file.ts';
import { ProgramFailed, run } from '../system/run.ts';

export interface RunningServices {
  /** Waits until all that is to start has started, or has failed. @returns `running`, or which failed */
  settled(signal: AbortSignal): Promise<string>;
  /** Starts a service of the image, now and at every boot. */
  enable(service: string): Promise<void>;
  /** The command that shows what a service has said. */
  logOf(service: string): string;
}

export async function runningServices(): Promise<RunningServices> {
  return (await exists(OPENRC_STATE)) ? OPENRC : SYSTEMD;
}

const SYSTEMD: RunningServices = {
  async settled(signal) {
    try {
      return (await run('systemctl', ['is-system-running', '--wait'], { signal })).stdout.trim();
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error;
      const { stdout } = await run('systemctl', [
        'list-units',
        '--failed',
        '--plain',
        '--no-legend',
        '--full',
      ]);
      return degraded(stdout.split('\n').flatMap((line) => line.split(' ')[0] || []));
    }
  },
  async enable(service) {
    await run('systemctl', ['enable', '--now', service]);
  },
  logOf: (service) => `journalctl -u ${service}`,
};

const OPENRC_STATE = '/run/openrc';
const POLL_MS = 250;

const OPENRC: RunningServices = {
  async settled(signal) {
    // It is there while a runlevel is being entered (librc, RC_STARTING).
    while (await exists(`${OPENRC_STATE}/rc.starting`)) await wait(POLL_MS, undefined, { signal });
    const failed = await namesIn(`${OPENRC_STATE}/failed`);
    return failed.length === 0 ? 'running' : degraded(failed.sort());
  },
  async enable(service) {
    await run('rc-update', ['add', service, 'default']);
    await run('rc-service', [service, 'start']);
  },
  logOf: (service) => `cat /var/log/${service}.log`,
};

function degraded(failed: string[]): string {
  return failed.length === 0 ? 'degraded' : `degraded: ${failed.join(', ')} failed`;
}
