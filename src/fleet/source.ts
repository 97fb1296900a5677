import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
} from 'yaml';
import type { Finding } from './findings.ts';

/** Keys and indexes from the top of a YAML file down to a value. */
export type Path = readonly (string | number)[];

/** A YAML file of the fleet folder: what it says, and in which line it says it. */
export class YamlSource {
  /** Relative to the fleet folder. */
  readonly file: string;
  /** Why this is not YAML at all: if there are any, `data` is undefined. */
  readonly syntaxErrors: readonly Finding[];
  readonly data: unknown;
  readonly #document: Document;
  readonly #lines = new LineCounter();

  /** @param options `failsafe` leaves all values the text that they are written as: 0640 is no number */
  constructor(file: string, text: string, options: { schema?: 'failsafe' } = {}) {
    this.file = file;
    // The library does not say where the other of two equal keys stands: duplicateKeys() does.
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: false,
      ...options,
    });
    this.syntaxErrors = this.#document.errors.map(({ pos, message }) => ({
      file,
      line: this.#lines.linePos(pos[0]).line,
      message: `not YAML: ${message}`,
    }));
    if (this.syntaxErrors.length === 0) this.data = this.#document.toJS({ maxAliasCount: -1 });
  }

  /** The line of a value, or, where there is no such value, of the nearest thing around it. */
  lineOf(path: Path): number {
    let node: unknown = this.#document.contents;
    let line = 1;
    for (const part of path) {
      const parent = isAlias(node) ? node.resolve(this.#document) : node;
      if (isMap(parent)) {
        const pair = parent.items.findLast(({ key }) => isScalar(key) && key.value === String(part));
        if (pair === undefined) return line;
        line = this.#lineOfNode(pair.key);
        node = pair.value;
      } else if (isSeq(parent)) {
        node = parent.items[Number(part)];
        if (node === undefined) return line;
        line = this.#lineOfNode(node);
      } else return line;
    }
    return line;
  }

  /** Keys that stand twice in one map. */
  duplicateKeys(): Finding[] {
    const findings: Finding[] = [];
    visit(this.#document, {
      Map: (_, map) => {
        const firstLines = new Map<unknown, number>();
        for (const { key } of map.items) {
          if (!isScalar(key)) continue;
          const line = this.#lineOfNode(key);
          const first = firstLines.get(key.value);
          if (first === undefined) firstLines.set(key.value, line);
          else {
            const message = `${String(key.value)} stands here a second time, first in line ${first}; remove one`;
            findings.push({ file: this.file, line, message });
          }
        }
      },
    });
    return findings;
  }

  #lineOfNode(node: unknown): number {
    const offset = isNode(node) ? node.range?.[0] : undefined;
    return offset === undefined ? 1 : this.#lines.linePos(offset).line;
  }
}
