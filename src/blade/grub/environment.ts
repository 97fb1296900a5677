/**
 * GRUB's environment block (GRUB manual, "The GRUB environment block"; grub-core/lib/envblk.c): 1024 bytes that GRUB reads
 * with `load_env` and overwrites in place with `save_env`. Bytes in, names and values out.
 */

/** Two sectors; GRUB never makes the file longer or shorter. */
export const ENVIRONMENT_BYTES = 1024;

const HEADER = '# GRUB Environment Block\n';

export type Environment = Readonly<Record<string, string>>;

/**
 * The block. GRUB takes all behind a `#` at the start of a line for room.
 * @throws RangeError when the variables do not fit in the first sector, of which one is written whole or not at all
 */
export function encodeEnvironment(variables: Environment): Buffer {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${escape(value)}\n`);
  const text = Buffer.from(HEADER + lines.join(''), 'latin1');
  if (text.length > SECTOR_BYTES) {
    throw new RangeError(`${text.length} bytes of variables do not fit in a sector of ${SECTOR_BYTES}`);
  }
  return Buffer.concat([text, Buffer.alloc(ENVIRONMENT_BYTES - text.length, '#')]);
}

const SECTOR_BYTES = 512;

/** Undefined for what GRUB would not read either: another length, another first line. */
export function decodeEnvironment(block: Uint8Array): Environment | undefined {
  const text = Buffer.from(block).toString('latin1');
  if (text.length !== ENVIRONMENT_BYTES || !text.startsWith(HEADER)) return undefined;
  const variables: Record<string, string> = {};
  // An escaped newline is part of the line.
  for (const [line] of text.slice(HEADER.length).matchAll(/(?:\\[^]|[^\\\n])+/g)) {
    const equals = line.indexOf('=');
    if (line.startsWith('#') || equals < 0) continue;
    variables[line.slice(0, equals)] = line.slice(equals + 1).replaceAll(/\\([^])/g, '$1');
  }
  return variables;
}

function escape(value: string): string {
  return value.replaceAll(/[\\\n]/g, '\\$&');
}
