/** Whether the fleet's recovery identity lies where every secret can be read with it. */
import { join } from 'node:path';
import { RECOVERY_IDENTITY } from '../../secrets/identity-file.ts';
import { exists } from '../../system/read-file.ts';
import type { Finding } from './finding.ts';

export async function checkRecovery(stateDirectory: string): Promise<Finding> {
  const check = 'secrets';
  const path = join(stateDirectory, RECOVERY_IDENTITY);
  if (!(await exists(path)))
    return { check, level: 'ok', message: "the fleet's recovery identity is not on this machine" };
  return {
    check,
    level: 'warning',
    message: `whoever is root here can read every secret of the fleet with ${path}`,
    hint: 'move it to where no machine can read it; `bladeroot secret` and `blade approve` take it by --identity FILE',
  };
}
