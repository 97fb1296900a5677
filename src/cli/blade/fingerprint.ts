import { BladerootError } from '../../errors.ts';
import { fingerprint } from '../../secrets/fingerprint.ts';

/**
 * @param read what a person has read from the console of a machine
 * @param recipient what the root has heard in that machine's name
 * @throws BladerootError `WRONG_FINGERPRINT`
 */
export function requireFingerprint(read: string, recipient: string | undefined, machine: string): void {
  const heard = recipient === undefined ? 'none' : fingerprint(recipient);
  if (read.toLowerCase() === heard) return;
  throw new BladerootError('WRONG_FINGERPRINT', `the machine that says it is ${machine} has ${heard}`, {
    hint: 'read it again from its console; if that is another one, another machine says it is this one',
  });
}
