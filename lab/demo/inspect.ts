/** Looks at running blades, from outside, and says whether they are what the fleet folder wants. */
import { describeError } from '../../src/errors.ts';
import type { BladeShell } from './blade-shell.ts';
import type { DemoBlade } from './fleet-folder.ts';

/** One claim, and whether it was seen to be so. */
export interface Check {
  what: string;
  passed: boolean;
  /** What was seen. */
  seen: string;
}

/** A blade's name, address, motd, and whether nginx runs where it should and nowhere else. */
export async function inspectBlade(shell: BladeShell, blade: DemoBlade): Promise<Check[]> {
  const { name, address } = blade;
  const said = await shell.on(blade, 'hostname; ip -4 -o address show scope global; cat /etc/motd');
  const [hostname = '', ...rest] = said.split('\n');
  const seenAddress = /inet ([\d.]+)/.exec(rest.join('\n'))?.[1] ?? 'none';
  const motd = rest.find((line) => line.startsWith('This is')) ?? '';
  return [
    { what: `${name} has its host name`, passed: hostname === name, seen: hostname },
    { what: `${name} has its address`, passed: seenAddress === address, seen: seenAddress },
    { what: `${name} has its motd`, passed: motd.startsWith(`This is ${name} (${address})`), seen: motd },
    blade.profile === 'web' ? await servesItsName(shell, blade) : await isInstalledAndStopped(shell, blade),
  ];
}

async function servesItsName(shell: BladeShell, { name, address }: DemoBlade): Promise<Check> {
  const page = await shell.get(`http://${address}/`).catch(describeError);
  return {
    what: `nginx on ${name} says its name`,
    passed: page.includes(`${name} serves`),
    seen: firstHeading(page),
  };
}

async function isInstalledAndStopped(shell: BladeShell, blade: DemoBlade): Promise<Check> {
  const state = await shell.on(blade, 'test -x /usr/sbin/nginx && systemctl is-active nginx || true');
  const what = `nginx on ${blade.name} is installed and not running`;
  return { what, passed: state === 'inactive', seen: state || 'not installed' };
}

/** Host keys are made on the blades: no two have the same. */
export async function inspectHostKeys(shell: BladeShell, blades: DemoBlade[]): Promise<Check[]> {
  const keys = await Promise.all(
    blades.map(async (blade) => await shell.on(blade, 'cut -d" " -f2 /etc/ssh/ssh_host_ed25519_key.pub')),
  );
  const distinct = new Set(keys.filter((key) => key.startsWith('AAAA')));
  return [
    {
      what: 'every blade has ssh host keys of its own',
      passed: distinct.size === blades.length,
      seen: keys.map((key) => key.slice(-8)).join(', '),
    },
  ];
}

/** A page's first heading, or its first line when it has none. */
export function firstHeading(page: string): string {
  return /<h1>(.*?)<\/h1>/.exec(page)?.[1] ?? page.split('\n')[0] ?? '';
}
