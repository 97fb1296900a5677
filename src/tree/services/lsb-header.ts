/** The comments by which an init script says when it starts (Linux Standard Base, "Comment Conventions for Init Scripts"). */
export interface LsbHeader {
  /** Runlevels of sysvinit, such as `2`; `S` is the start of the system. */
  defaultStart: string[];
}

/** Undefined where a script has no such comments. */
export function parseLsbHeader(script: string): LsbHeader | undefined {
  const header = /^### BEGIN INIT INFO\s*\n([\s\S]*?)^### END INIT INFO/m.exec(script)?.[1];
  if (header === undefined) return undefined;
  const levels = /^#[ \t]*Default-Start:(.*)$/m.exec(header)?.[1] ?? '';
  return { defaultStart: levels.split(/\s+/).filter((level) => level !== '') };
}
