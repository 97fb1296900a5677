import { readFile, realpath } from 'node:fs/promises';

/**
 * Where something is mounted below a directory, by paths relative to it, one character a byte: also what was mounted
 * there with `--bind` from the same file system, which no device number tells (proc_pid_mountinfo(5)).
 */
export async function mountPointsBelow(directory: string): Promise<Set<string>> {
  const above = (await realpath(directory, 'buffer')).toString('latin1');
  const prefix = above === '/' ? above : `${above}/`;
  const lines = (await readFile('/proc/self/mountinfo', 'latin1')).split('\n');
  const points = lines.map((line) => unescape(line.split(' ')[4] ?? ''));
  return new Set(
    points.filter((point) => point.startsWith(prefix)).map((point) => point.slice(prefix.length)),
  );
}

/** Space, tab, newline and backslash stand there in octal, such as `\040`. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
