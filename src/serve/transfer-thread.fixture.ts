/** The thread that sends files, for a test: it dies as soon as it lives while `THREAD_DIES` is in the environment. */
if (process.env['THREAD_DIES'] !== undefined) throw new Error('that is how it is today');
await import('./transfer-worker.ts');
