/** A blade as it stands in its file, to be changed by a person and put back. Pure. */
import { isMap, isScalar, parseDocument } from 'yaml';
import { BladerootError } from '../errors.ts';
import type { FleetSource, FleetTexts } from './fleet-source.ts';

export interface BladeText {
  /** In which it stands, relative to the fleet folder. */
  file: string;
  /** From its first key on, as if it stood at the margin. */
  text: string;
  /**
   * The whole file with other text in its place.
   * @throws BladerootError `BAD_BLADE_TEXT` when that is no longer this one blade
   */
  put(text: string): string;
}

/**
 * @param name of a blade of a fleet without faults
 * @throws BladerootError `EDIT_BY_HAND` where it has no lines of its own
 */
export function bladeText(texts: FleetTexts, source: FleetSource, name: string): BladeText {
  const { file, path } = source.placeOf(['blades', name]);
  const whole = texts.get(file) ?? '';
  if (path.length === 0) return { file, text: whole, put: (text) => text };
  const lines = linesOf(whole, name);
  if (lines === undefined) {
    throw new BladerootError('EDIT_BY_HAND', `${name} has no lines of its own in ${file}`, {
      hint: 'change it with `bladeroot blade set`, or the file by hand',
    });
  }
  const { start, end, indent } = lines;
  const eol = whole.includes('\r\n') ? '\r\n' : '\n';
  const own = whole.slice(start, end).split(/\r?\n/);
  return {
    file,
    text: `${own.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join('\n')}\n`,
    put(text) {
      requireOne(text, name);
      const fresh = text.trimEnd().split(/\r?\n/);
      const indented = fresh.map((line) => (line === '' ? line : indent + line)).join(eol);
      return whole.slice(0, start) + indented + whole.slice(end);
    },
  };
}

/** From the beginning of the line with the blade's name to the end of the last line that says something of it. */
function linesOf(text: string, name: string): { start: number; end: number; indent: string } | undefined {
  const blades: unknown = parseDocument(text, { stringKeys: true }).get('blades');
  if (!isMap(blades) || blades.flow === true) return undefined;
  const pair = blades.items.find(({ key }) => isScalar(key) && key.value === name);
  if (!isScalar(pair?.key) || !isMap(pair.value)) return undefined;
  const [keyStart, valueEnd] = [pair.key.range?.[0], pair.value.range?.[1]];
  if (keyStart === undefined || valueEnd === undefined) return undefined;
  const start = text.lastIndexOf('\n', keyStart - 1) + 1;
  const indent = text.slice(start, keyStart);
  const newline = text.indexOf('\n', text.slice(0, valueEnd).trimEnd().length);
  const end = newline < 0 ? text.length : newline - (text[newline - 1] === '\r' ? 1 : 0);
  return indent.trim() === '' ? { start, end, indent } : undefined;
}

function requireOne(text: string, name: string): void {
  const { contents, errors } = parseDocument(text, { stringKeys: true, prettyErrors: true });
  const [first, ...more] = isMap(contents) ? contents.items : [];
  if (errors.length === 0 && isScalar(first?.key) && first.key.value === name && more.length === 0) return;
  const [error] = errors;
  const why =
    error === undefined
      ? `is not one blade ${name}: it has to begin with "${name}:"`
      : `is not YAML: ${firstLine(error)}`;
  throw new BladerootError('BAD_BLADE_TEXT', `what you wrote ${why}`);
}

function firstLine({ message }: Error): string {
  return message.split('\n', 1)[0] ?? '';
}
