/** Reading what may well not be there. */
import { access, readdir, readFile } from 'node:fs/promises';
import { errorCode } from '../errors.ts';

/** A file's text; undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return await ifThere(readFile(path, 'utf8'));
}

/** The names in a directory, in no order; none when there is no such directory. */
export async function namesIn(directory: string): Promise<string[]> {
  return (await ifThere(readdir(directory))) ?? [];
}

export async function exists(path: string): Promise<boolean> {
  return (await ifThere(access(path).then(() => true))) ?? false;
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
