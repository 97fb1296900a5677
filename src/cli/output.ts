/** The only place that prints: results on stdout, everything else on stderr. */

/** How often progress is told where it cannot be drawn over itself, in milliseconds. */
const LINE_EVERY_MS = 5000;
const DRAW_EVERY_MS = 100;

export class Output {
  readonly #json: boolean;
  #drawn = false;
  #last = 0;

  constructor(json: boolean) {
    this.#json = json;
  }

  /** What the command is for: with --json the value, without it the text for people. */
  result(value: unknown, text: string): void {
    this.#clear();
    process.stdout.write(this.#json ? `${JSON.stringify(value)}\n` : `${text}\n`);
  }

  /** Bytes as they are, also with --json: what is shown so is no text for people. */
  raw(bytes: Uint8Array): void {
    this.#clear();
    process.stdout.write(bytes);
  }

  /** What is being done now. */
  step(text: string): void {
    this.#clear();
    process.stderr.write(`${text}\n`);
    this.#last = 0;
  }

  /** How far it is: on a terminal always the same line, elsewhere a line now and then. */
  progress(text: () => string): void {
    const now = performance.now();
    const terminal = process.stderr.isTTY;
    if (now - this.#last < (terminal ? DRAW_EVERY_MS : LINE_EVERY_MS)) return;
    this.#last = now;
    if (!terminal) {
      process.stderr.write(`${text()}\n`);
      return;
    }
    this.#clear();
    process.stderr.write(text().slice(0, (process.stderr.columns || 80) - 1));
    this.#drawn = true;
  }

  #clear(): void {
    if (!this.#drawn) return;
    process.stderr.write('\r\u001B[K');
    this.#drawn = false;
  }
}

/** Rows under their headings, in columns as wide as they need be. */
export function table(headings: string[], rows: string[][]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [headings, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** 1234567 bytes are `1.2 MB`. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}
