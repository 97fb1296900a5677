/** Whether there is a wire to serve on. */
import { readFile } from 'node:fs/promises';
import { BladerootError } from '../../errors.ts';
import type { ReleaseStatement } from '../../release/statement.ts';
import { chooseInterface, type ServeInterface } from '../interface.ts';
import type { Finding } from './finding.ts';

export async function checkInterface(
  name: string | undefined,
  release: ReleaseStatement,
): Promise<{ finding: Finding; found: ServeInterface | undefined }> {
  const check = 'interface';
  try {
    const found = chooseInterface(name, release);
    const state = (await readFile(`/sys/class/net/${found.name}/operstate`, 'utf8')).trim();
    if (state === 'down' || state === 'lowerlayerdown') {
      const message = `${found.name} (${found.address}) is ${state === 'down' ? 'down' : 'up, but has no link'}`;
      const hint = `plug in the cable, or switch it on: ip link set ${found.name} up`;
      return { finding: { check, level: 'failure', message, hint }, found: undefined };
    }
    const message = `${found.name} has ${found.address} in the fleet's subnet, and a link`;
    return { finding: { check, level: 'ok', message }, found };
  } catch (error) {
    if (!(error instanceof BladerootError)) throw error;
    const { message, hint = 'see `ip address`' } = error;
    return { finding: { check, level: 'failure', message, hint }, found: undefined };
  }
}
