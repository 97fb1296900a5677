/** A program: `tftp-crowd.ts CLIENTS SERVER PORT FILE BYTES`. As many clients fetch a file at once; prints JSON. */
import { fetchByTftp } from './tftp-client.ts';

const [clients = '', server = '', port = '', file = '', bytes = ''] = process.argv.slice(2);
const begun = performance.now();
const fetches = Array.from({ length: Number(clients) }, () =>
  fetchByTftp({ server, port: Number(port), file }),
);
const sizes = await Promise.allSettled(fetches);
const whole = sizes.filter((size) => size.status === 'fulfilled' && size.value === Number(bytes)).length;
process.stdout.write(`${JSON.stringify({ whole, seconds: (performance.now() - begun) / 1000 })}\n`);
