/** The service manager that this blade runs under, by its own programs. */
import { setTimeout as wait } from 'node:timers/promises';
import { exists, namesIn } from '../system/read-file.ts';
import { ProgramFailed, run } from '../system/run.ts';

export interface RunningServices {
  /** Waits until all that is to start has started, or has failed. */
  settled(signal: AbortSignal): Promise<void>;
  /** The services that have failed, by their names; none when all is well. */
  failed(): Promise<string[]>;
  isRunning(service: string): Promise<boolean>;
  /** Starts a service of the image, now and at every boot. */
  enable(service: string): Promise<void>;
  /** The command that shows what a service has said. */
  logOf(service: string): string;
}

export async function runningServices(): Promise<RunningServices> {
  return (await exists(OPENRC_STATE)) ? OPENRC : SYSTEMD;
}

/** As the root is told it: `running`, or `degraded` and which failed. */
export function describeServices(failed: readonly string[]): string {
  return failed.length === 0 ? 'running' : `degraded: ${failed.join(', ')} failed`;
}

const SYSTEMD: RunningServices = {
  async settled(signal) {
    await succeeds('systemctl', ['is-system-running', '--wait'], signal);
  },
  async failed() {
    const list = ['list-units', '--failed', '--plain', '--no-legend', '--full'];
    const { stdout } = await run('systemctl', list);
    return stdout.split('\n').flatMap((line) => line.split(' ')[0] || []);
  },
  isRunning: async (service) => await succeeds('systemctl', ['is-active', '--quiet', service]),
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
  },
  failed: async () => (await namesIn(`${OPENRC_STATE}/failed`)).sort(),
  isRunning: async (service) => await succeeds('rc-service', [service, 'status']),
  async enable(service) {
    await run('rc-update', ['add', service, 'default']);
    await run('rc-service', [service, 'start']);
  },
  logOf: (service) => `cat /var/log/${service}.log`,
};

/** Whether a program that is there ends with 0. */
async function succeeds(program: string, args: string[], signal?: AbortSignal): Promise<boolean> {
  try {
    await run(program, args, { signal });
    return true;
  } catch (error) {
    if (error instanceof ProgramFailed) return false;
    throw error;
  }
}
