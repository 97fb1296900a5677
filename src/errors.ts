/** What went wrong, for a person: a stable code, a message that names the thing, and a hint what to do. */
export class BladerootError extends Error {
  /** Stable and greppable, such as `FLEET_YAML` or `PORT_IN_USE`. */
  readonly code: string;
  /** What the user can do about it, as a sentence without a full stop. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'BladerootError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** The message of whatever was thrown, on one line, with the hint where there is one. */
export function describeError(error: unknown): string {
  if (error instanceof BladerootError) {
    return error.hint === undefined ? error.message : `${error.message}; ${error.hint}`;
  }
  if (!(error instanceof Error)) return String(error);
  // fetch() says no more than "fetch failed": why is in the cause.
  const { cause } = error;
  const why = cause instanceof Error ? cause.message || errorCode(cause) : undefined;
  return why === undefined ? error.message : `${error.message}: ${why}`;
}

/** The `code` of a system error (`ENOENT`, `EADDRINUSE`, ...), or of a BladerootError. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
