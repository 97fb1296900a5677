/** Requests of real firmware and real clients, as `npm run capture` took them from the wire; see docs/firmware-seen.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const FOLDER = new URL('captures/', import.meta.url);

const requestSchema = z.strictObject({ to: z.number(), payload: z.string() });
const readingSchema = z.strictObject({
  mac: z.string(),
  xid: z.number(),
  secs: z.number(),
  flags: z.number(),
  options: z.string(),
});

export interface Capture {
  /** Who asked, such as `ovmf-pxe`. */
  client: string;
  /** What it sent to DHCP's or PXE's port, in its order. */
  dhcp: Buffer[];
  tftp: Buffer[];
  /** How tcpdump reads those to port 67, options as `CODE/LENGTH` in their order. */
  golden: z.infer<typeof readingSchema>[];
}

export function readCaptures(): Capture[] {
  const clients = readdirSync(FOLDER).flatMap((file) => /^(.*)\.jsonl$/.exec(file)?.[1] ?? []);
  return clients.sort().map((client) => {
    const lines = readFileSync(new URL(`${client}.jsonl`, FOLDER), 'utf8')
      .trimEnd()
      .split('\n');
    const requests = lines.map((line) => requestSchema.parse(JSON.parse(line)));
    const golden: unknown = JSON.parse(readFileSync(new URL(`${client}.golden.json`, FOLDER), 'utf8'));
    const sent = (tftp: boolean): Buffer[] =>
      requests.filter(({ to }) => (to === 69) === tftp).map(({ payload }) => Buffer.from(payload, 'hex'));
    return { client, dhcp: sent(false), tftp: sent(true), golden: z.array(readingSchema).parse(golden) };
  });
}
