/** A machine's console as it was logged: what it showed, from the first byte on. */
import { readFile } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import { errorCode } from '../src/errors.ts';
import { follow } from './follow.ts';

/** Looks for a pattern in a log from a byte offset on, and in what comes; undefined when `until` was aborted first. */
export async function waitForText(
  file: string,
  pattern: RegExp,
  from: number,
  until: AbortSignal,
): Promise<RegExpExecArray | undefined> {
  let seen = Buffer.alloc(0);
  for await (const chunk of follow(file, from, until)) {
    seen = Buffer.concat([seen, chunk]).subarray(-SEEN_BYTES);
    const match = pattern.exec(plainText(seen));
    if (match !== null) return match;
  }
  return undefined;
}

/** How far back a pattern may begin: enough for any message, and little enough to look through at each new byte. */
const SEEN_BYTES = 16_384;

/** A log's text from a byte offset on; empty where there is no log. */
export async function readLog(file: string, from: number = 0): Promise<string> {
  try {
    return plainText((await readFile(file)).subarray(from));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** The last lines that say anything, on one line. */
export function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-LAST_LINES).join(' | ');
}

const LAST_LINES = 5;

/** Firmware paints its screen with terminal control sequences, between the letters of a word too. */
function plainText(bytes: Buffer): string {
  return stripVTControlCharacters(bytes.toString('utf8')).replaceAll('\r', '');
}
