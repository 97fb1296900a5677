const NEWLINE = 0x0a;

/** Texts one behind the other, each with its last line ended. */
export function joinLines(texts: readonly Buffer[]): Buffer {
  return Buffer.concat(texts.map(ended));
}

function ended(text: Buffer): Buffer {
  return text.length === 0 || text.at(-1) === NEWLINE ? text : Buffer.concat([text, Buffer.of(NEWLINE)]);
}
