import type { KeyObject } from 'node:crypto';
import { openRelease, type SignedRelease } from './repository.ts';

const ANSWER_TIMEOUT_MS = 10_000;

/** The current release of a root. @throws BladerootError `SIGNATURE_INVALID`, and what fetch throws */
export async function fetchRelease(
  root: string,
  publicKey: KeyObject,
  signal?: AbortSignal,
): Promise<SignedRelease> {
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const response = await fetch(`${root}/releases/current`, {
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  if (!response.ok) throw new Error(`it answers ${response.status}`);
  return openRelease(new Uint8Array(await response.arrayBuffer()), publicKey, `the release of ${root}`);
}
