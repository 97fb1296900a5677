import { readFile } from 'node:fs/promises';
import { BladerootError } from '../errors.ts';
import type { Report } from '../events/catalogue.ts';

/** A root that does not take a report holds nothing up. */
const SEND_TIMEOUT_MS = 3000;

/** @throws when the root is not there or fails; BladerootError `REPORT_REFUSED` when it says that the report is wrong */
export async function sendReport(root: string, report: Report): Promise<void> {
  const response = await fetch(`${root}/api/v1/reports`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(report),
    signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
  });
  if (response.ok) return;
  const answer = `${root} answers ${response.status}: ${await response.text()}`;
  if (response.status === 400 || response.status === 413) throw new BladerootError('REPORT_REFUSED', answer);
  throw new Error(answer);
}

/** The kernel's name for this boot: one story in the root's events. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
