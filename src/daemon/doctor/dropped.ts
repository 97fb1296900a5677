/** Whether the root that serves here hears things that are no packets: a broken device, or somebody who tries. */
import { droppedSchema } from '../../api/dropped.ts';
import { HTTP_PORT } from '../root.ts';
import type { Finding } from './finding.ts';

const ANSWER_WITHIN_MS = 2000;

/** @param address this machine's own, at which a root would answer; undefined where none serves */
export async function checkDropped(address: string): Promise<Finding | undefined> {
  const check = 'dropped packets';
  let body: unknown;
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const response = await fetch(`http://${address}:${HTTP_PORT}/api/v1/dropped`, { signal });
    // An older root does not count.
    if (!response.ok) return undefined;
    body = await response.json();
  } catch (error) {
    // Nobody answers, or not in time: the check of the ports says whether there should be one.
    if (error instanceof TypeError || error instanceof DOMException) return undefined;
    throw error;
  }
  const some = droppedSchema.parse(body).filter(({ count }) => count > 0);
  if (some.length === 0)
    return { check, level: 'ok', message: 'all that came in since serve started was sound' };
  const told = some.map(({ kind, count, last }) => {
    const example = last === undefined ? '' : ` (the last from ${last.from}: ${last.reason})`;
    return `${count} × ${kind.toUpperCase()}${example}`;
  });
  return {
    check,
    level: 'warning',
    message: `came in malformed since serve started: ${told.join('; ')}`,
    hint: 'they do no harm here; a machine that sends many has a broken card or cable, or probes the root',
  };
}
