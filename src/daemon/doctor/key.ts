/** Whether the key that signs releases outlives this machine. */
import { privateKeyFile, UNCARRIED_KEY } from '../../release/keys.ts';
import type { ReleaseStatement } from '../../release/statement.ts';
import { sha256 } from '../../store/digest.ts';
import type { Finding } from './finding.ts';

export async function checkKey(
  stateDirectory: string,
  release: Pick<ReleaseStatement, 'sequence' | 'key'> | undefined,
): Promise<Finding> {
  const check = 'key';
  const file = await privateKeyFile(stateDirectory);
  if (file.kind === 'elsewhere') {
    return { check, level: 'ok', message: "the fleet's key is not on this machine" };
  }
  if (file.kind === 'plain') {
    return { check, level: 'warning', ...UNCARRIED_KEY };
  }
  if (release === undefined || release.key?.digest !== sha256(Buffer.from(file.pem))) {
    const message = 'the key is not carried by blades as it is here: its passphrase was changed since';
    return { check, level: 'warning', message, hint: 'publish with `bladeroot release publish`' };
  }
  return { check, level: 'ok', message: `blades carry the key, encrypted, with release ${release.sequence}` };
}
