/** Sources as people write them: the URL of a root, of any web server or bucket, or a directory. */
import { BladerootError } from '../errors.ts';
import { DirectorySource } from './directory-source.ts';
import { FailoverSource } from './failover-source.ts';
import { HttpSource, type HttpSourceOptions } from './http-source.ts';
import type { Source } from './source.ts';

/** Waiting for a server is shorter where another can be asked. Milliseconds. */
const PATIENCE_AMONG_SEVERAL = 10_000;

/**
 * A store behind `http://…` or `https://…`, else in a directory.
 * @throws BladerootError `SOURCE_URL` for a URL of another kind
 */
export function openSource(text: string, options: HttpSourceOptions = {}): Source {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? new HttpSource(text, options) : new DirectorySource(text);
}

/**
 * One source of all of these, in order of preference.
 * @throws BladerootError `SOURCE_URL` for a URL of another kind, or when there is none
 */
export function openSources(texts: readonly string[], options: HttpSourceOptions = {}): Source {
  const [only] = texts;
  if (only === undefined) throw new BladerootError('SOURCE_URL', 'there is no store to read from');
  if (texts.length === 1) return openSource(only, options);
  return new FailoverSource(
    texts.map((text) => openSource(text, { patience: PATIENCE_AMONG_SEVERAL, ...options })),
  );
}
