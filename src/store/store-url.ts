import { BladerootError } from '../errors.ts';

export interface StoreUrl {
  /** Ends in a slash; without user, password and fragment. */
  url: URL;
  /** The value of the `Authorization` header, of the user and the password in the URL (RFC 7617). */
  authorization: string | undefined;
}

/** @throws BladerootError `SOURCE_URL`, whose message has no secrets of the URL */
export function parseStoreUrl(text: string): StoreUrl {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new BladerootError(
      'SOURCE_URL',
      `a store is read from http://HOST/PATH, https://HOST/PATH or a directory, not from ${withoutSecrets(text)}`,
    );
  }
  const authorization = basicAuthorization(url, text);
  url.username = '';
  url.password = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return { url, authorization };
}

function basicAuthorization({ username, password }: URL, text: string): string | undefined {
  if (username === '' && password === '') return undefined;
  try {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(credentials).toString('base64')}`;
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new BladerootError(
      'SOURCE_URL',
      `user or password in ${withoutSecrets(text)} are not written as a URL has them`,
      { hint: 'a % in them is written %25' },
    );
  }
}

/** Also of what is no URL, such as one whose password has a slash: all up to the last @, and the query, are left out. */
function withoutSecrets(text: string): string {
  return text.replace(/\/\/.*@/s, '//').replace(/[?#].*$/s, '');
}
