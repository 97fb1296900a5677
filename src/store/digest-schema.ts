import { z } from 'zod';
import { DIGEST } from './digest.ts';

/** A SHA-256 where something is parsed. Apart from digest.ts, since worker threads start faster without zod. */
export const digestSchema = z.string().regex(DIGEST);
