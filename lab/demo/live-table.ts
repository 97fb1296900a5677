/** Shows a story while it is played: a table that is drawn over itself on a terminal, plain lines elsewhere. */
import type { Check } from './inspect.ts';
import { STATIONS, type Boot, type Timeline } from './timeline.ts';

const DRAW_EVERY_MS = 250;
/** Where nothing can be drawn over, the table comes as lines, this often. */
const LINES_EVERY_MS = 15_000;

const BOLD = '\u001B[1m';
const DIM = '\u001B[2m';
const GREEN = '\u001B[32m';
const RED = '\u001B[31m';
const PLAIN = '\u001B[0m';

export interface Screen {
  readonly isTTY: boolean;
  readonly columns: number;
  write(text: string): void;
}

export class LiveTable {
  readonly #screen: Screen;
  readonly #timeline: Timeline;
  readonly #begun = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #drawn = 0;

  constructor(timeline: Timeline, screen: Screen) {
    this.#timeline = timeline;
    this.#screen = screen;
  }

  start(): void {
    const draw = this.#screen.isTTY ? () => this.#redraw() : () => this.#lines();
    this.#timer = setInterval(draw, this.#screen.isTTY ? DRAW_EVERY_MS : LINES_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#erase();
  }

  chapter(title: string): void {
    this.#above(`\n${this.#styled(BOLD, `${this.#clock()}  ${title}`)}`);
  }

  line(text: string): void {
    this.#above(this.#styled(DIM, `         ${text}`));
  }

  check({ what, passed, seen }: Check): void {
    const mark = passed ? this.#styled(GREEN, '  ok  ') : this.#styled(RED, ' FAIL ');
    this.#above(`  ${mark} ${what}${seen === '' ? '' : this.#styled(DIM, `: ${seen}`)}`);
  }

  /** Prints what is to stay, above the table. */
  #above(text: string): void {
    this.#erase();
    this.#screen.write(`${text}\n`);
    if (this.#screen.isTTY && this.#timer !== undefined) this.#redraw();
  }

  #redraw(): void {
    const rows = this.#rows();
    this.#erase();
    if (rows.length === 0) return;
    const text = ['', ...rows].map((row) => row.slice(0, this.#screen.columns - 1));
    this.#screen.write(`${text.join('\n')}\n`);
    this.#drawn = text.length;
  }

  #lines(): void {
    for (const boot of this.#timeline.latest()) {
      if (boot.reached['services up'] === undefined) this.#screen.write(`         ${row(boot)}\n`);
    }
  }

  #rows(): string[] {
    const boots = this.#timeline.latest();
    if (boots.length === 0) return [];
    return [this.#styled(DIM, HEADING), ...boots.map(row)];
  }

  #erase(): void {
    if (this.#drawn > 0) this.#screen.write(`\u001B[${this.#drawn}A\u001B[J`);
    this.#drawn = 0;
  }

  #clock(): string {
    return duration(Date.now() - this.#begun).padStart(7);
  }

  #styled(style: string, text: string): string {
    return this.#screen.isTTY ? `${style}${text}${PLAIN}` : text;
  }
}

const HEADING = `${'BLADE'.padEnd(8)}${'STEP'.padEnd(24)}${'%'.padStart(5)}${'MB/s'.padStart(8)}${'TIME'.padStart(9)}`;

function row(boot: Boot): string {
  const { fetched, reached } = boot;
  const fetching = boot.step === 'fetch' && fetched !== undefined;
  const percent = fetching ? `${Math.floor((100 * fetched.done) / Math.max(fetched.total, 1))}` : '';
  const rate = fetching ? (fetched.bytesPerSecond / 1e6).toFixed(1) : '';
  const end = reached['services up'] ?? Date.now();
  const time = duration(end - (reached['power on'] ?? end));
  return `${boot.blade.padEnd(8)}${boot.step.slice(0, 23).padEnd(24)}${percent.padStart(5)}${rate.padStart(8)}${time.padStart(9)}`;
}

/** One line a boot: seconds from power on to each station. */
export function timelineTable(boots: Boot[]): string {
  const headings = ['BLADE', ...STATIONS.slice(1)];
  const rows = boots.map((boot) => {
    const start = boot.reached['power on'] ?? 0;
    return [
      boot.blade,
      ...STATIONS.slice(1).map((station) => {
        const at = boot.reached[station];
        return at === undefined ? '-' : `${((at - start) / 1000).toFixed(1)} s`;
      }),
    ];
  });
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return [line(headings), ...rows.map(line)].join('\n');
}

/** 75,500 ms are `1m 15s`. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds < 60
    ? `${seconds}s`
    : `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, '0')}s`;
}
