import { BladerootError } from '../errors.ts';

/** One fault in the fleet folder. */
export interface Finding {
  /** Relative to the fleet folder. */
  file: string;
  /** From 1; what is said of a whole folder has none. */
  line?: number;
  /** What is wrong and what would be right, on one line. */
  message: string;
}

/** `FLEET_INVALID`: everything that is wrong with a fleet folder, one line a finding, in the order of the files. */
export class FleetErrors extends BladerootError {
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    const sorted = sortFindings(findings);
    super('FLEET_INVALID', sorted.map(findingText).join('\n'));
    this.name = 'FleetErrors';
    this.findings = sorted;
  }
}

/** By file, then by line. */
export function sortFindings<One extends Finding>(findings: readonly One[]): One[] {
  return findings.toSorted((a, b) =>
    a.file < b.file ? -1 : a.file > b.file ? 1 : (a.line ?? 0) - (b.line ?? 0),
  );
}

/** `fleet.yaml:3: what is wrong`. */
export function findingText({ file, line, message }: Finding): string {
  return `${file}${line === undefined ? '' : `:${line}`}: ${message}`;
}
