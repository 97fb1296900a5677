import { BladerootError, describeError, errorCode } from '../errors.ts';

/** Says of what cannot be written, or removed, which it is: a path for system calls. @throws BladerootError `UNPACK_FAILED` */
export function naming<T>(path: string, work: () => T, what: 'written' | 'removed' = 'written'): T {
  try {
    return work();
  } catch (error) {
    const code = errorCode(error);
    const why = code === 'ENOSPC' ? 'there is no space left on the disk' : describeError(error);
    throw new BladerootError('UNPACK_FAILED', `${JSON.stringify(path)} could not be ${what}: ${why}`, {
      cause: error,
      ...(code === 'ENOSPC' && {
        hint: 'make room, or unpack to a larger disk; what is there is not complete',
      }),
    });
  }
}
