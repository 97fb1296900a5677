/** Passphrases, from a terminal or a file. */
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ReadStream } from 'node:tty';
import { BladerootError, errorCode } from '../errors.ts';
import type { AskPassphrase } from '../release/keys.ts';

/** Reads it from a file (its first line) where one is named, else asks for it at the terminal. */
export function passphraseFrom(file: string | undefined): AskPassphrase {
  return async (path) =>
    file === undefined ? await askAtTerminal(`Passphrase for ${path}: `) : await readPassphrase(file);
}

/** For one that is to be: at the terminal it is asked for twice. */
export function newPassphraseFrom(file: string | undefined): AskPassphrase {
  return async (path) => {
    if (file !== undefined) return await readPassphrase(file);
    const first = await askAtTerminal(`New passphrase for ${path}: `);
    if ((await askAtTerminal('The same once more: ')) === first) return first;
    throw new BladerootError('PASSPHRASES_DIFFER', 'the two passphrases are not the same', {
      hint: 'nothing was changed; try again',
    });
  };
}

/** @param file such as `/dev/fd/3` for an open descriptor, `/dev/stdin` for a pipe */
async function readPassphrase(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENXIO') throw error;
    throw new BladerootError('NO_PASSPHRASE', `there is no file ${file} with a passphrase`, {
      hint: 'name one whose first line is the passphrase with --passphrase-file, or leave it out to be asked',
    });
  });
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line !== '') return line;
  throw new BladerootError('NO_PASSPHRASE', `the first line of ${file} is empty`, {
    hint: 'the passphrase has to stand there',
  });
}

const [CTRL_C, CTRL_D, BACKSPACE, DELETE] = ['\x03', '\x04', '\b', '\x7f'];

/** On the terminal itself, whatever stdin and stdout are; nothing of it is shown. */
async function askAtTerminal(question: string): Promise<string> {
  const terminal = openTerminal();
  // First, so that nothing of an answer that comes at once is shown.
  terminal.setRawMode(true);
  process.stderr.write(question);
  try {
    return await readLine(terminal);
  } finally {
    terminal.setRawMode(false);
    terminal.destroy();
    process.stderr.write('\n');
  }
}

async function readLine(terminal: ReadStream): Promise<string> {
  let line = '';
  for await (const chunk of terminal.setEncoding('utf8')) {
    for (const character of String(chunk)) {
      if (character === '\r' || character === '\n') return line;
      if (character === CTRL_C || character === CTRL_D) {
        throw new BladerootError('NO_PASSPHRASE', 'no passphrase was given');
      }
      if (character === BACKSPACE || character === DELETE) line = [...line].slice(0, -1).join('');
      else line += character;
    }
  }
  throw new BladerootError('NO_PASSPHRASE', 'the terminal was closed before the passphrase was given');
}

function openTerminal(): ReadStream {
  try {
    return new ReadStream(openSync('/dev/tty', 'r+'));
  } catch (error) {
    throw new BladerootError('NO_PASSPHRASE', 'there is no terminal at which to ask for the passphrase', {
      hint: 'give it with --passphrase-file FILE (such as /dev/fd/3)',
      cause: error,
    });
  }
}
