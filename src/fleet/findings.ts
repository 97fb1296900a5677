import { BladerootError } from '../errors.ts';

/** One fault in the fleet folder. */
export interface Finding {
  /** Relative to the fleet folder. */
  file: string;
  /** From 1. */
  line: number;
  /** What is wrong and what would be right, on one line. */
  message: string;
}

/** `FLEET_INVALID`: everything that is wrong with a fleet folder, one line a finding, in the order of the files. */
export class FleetErrors extends BladerootError {
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    const sorted = findings.toSorted((a, b) =>
      a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line,
    );
    super('FLEET_INVALID', sorted.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('\n'));
    this.name = 'FleetErrors';
    this.findings = sorted;
  }
}
