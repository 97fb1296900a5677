/** What all parts of the bench of boot services share. */
import { join } from 'node:path';
import type { Row } from '../report.ts';
import type { Wire } from './wire.ts';

export interface BootSetting {
  wire: Wire;
  /** For what the bench makes; it is removed at the end. */
  work: string;
  rounds: number;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

/** A part's rows, and everything that was measured for them. */
export interface BootPart {
  rows: Row[];
  runs: Record<string, unknown>;
}

/** The folder that all servers serve: `big` and `small` by TFTP, `pack` by HTTP. */
export const servedIn = ({ work }: Pick<BootSetting, 'work'>): string => join(work, 'served');

/** Sizes in bytes. */
export const SIZES = { big: 100_000_000, small: 1_000_000, loader: 75_000, kernel: 8_000_000, pack: 2 ** 30 };
