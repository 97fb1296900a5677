/** Who listens where the boot services want to. */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../errors.ts';
import { run } from '../../system/run.ts';
import { SERVICE_PORTS, type Finding } from './finding.ts';

export interface Listener {
  protocol: 'udp' | 'tcp';
  port: number;
  /** Undefined where it is bound to none. */
  device: string | undefined;
  programs: { name: string; pid: number }[];
}

/** @param devices those on which the boot services want to listen; none: any */
export async function checkPorts(devices: readonly string[]): Promise<Finding[]> {
  const { stdout } = await run('ss', [
    '--no-header',
    '--listening',
    '--numeric',
    '--processes',
    '--udp',
    '--tcp',
  ]);
  const listeners = readListeners(stdout);
  const own = new Set<number>();
  for (const { programs } of listeners) {
    for (const { pid } of programs) if (await isServe(pid)) own.add(pid);
  }
  return SERVICE_PORTS.map((wanted) => {
    const there = listeners.filter(
      (listener) =>
        listener.protocol === wanted.protocol &&
        listener.port === wanted.port &&
        (listener.device === undefined || devices.length === 0 || devices.includes(listener.device)),
    );
    return judgePort(wanted, there, own);
  });
}

/** The lines of `ss --no-header --listening --numeric --processes --udp --tcp`. */
export function readListeners(output: string): Listener[] {
  return output.split('\n').flatMap((line) => {
    const [protocol, , , , local = '', , ...users] = line.trim().split(/\s+/);
    const [, device, port] = /^.*?(?:%([^:\]]+))?\]?:(\d+)$/.exec(local) ?? [];
    if ((protocol !== 'udp' && protocol !== 'tcp') || port === undefined) return [];
    const programs = [...users.join(' ').matchAll(/\("([^"]*)",pid=(\d+)/g)].map(([, name = '', pid]) => ({
      name,
      pid: Number(pid),
    }));
    return [{ protocol, port: Number(port), device, programs }];
  });
}

type Wanted = (typeof SERVICE_PORTS)[number];

function judgePort({ protocol, port, service }: Wanted, there: Listener[], own: Set<number>): Finding {
  const check = `${protocol} port ${port}`;
  const programs = there.flatMap((listener) => listener.programs);
  const others = programs.filter(({ pid }) => !own.has(pid));
  if (there.length === 0) return { check, level: 'ok', message: `free, for ${service}` };
  if (programs.length > 0 && others.length === 0) {
    return { check, level: 'ok', message: `bladeroot serve answers ${service} there` };
  }
  const names = others.map(({ name, pid }) => `${name} (pid ${pid})`);
  const who = names.length === 0 ? 'a program that cannot be named' : [...new Set(names)].join(', ');
  return {
    check,
    level: port === 4011 ? 'warning' : 'failure',
    message: `${who} listens where bladeroot wants to answer ${service}`,
    hint: 'stop it, and see that it is not started again: systemctl disable --now NAME',
  };
}

/** Whether a process is `bladeroot serve`, from the sources or as it is installed. */
async function isServe(pid: number): Promise<boolean> {
  try {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    const program = words.findIndex((word) => /\/(cli\/main\.ts|bladeroot\.mjs)$/.test(word));
    return program !== -1 && words[program + 1] === 'serve';
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}
