/** A mail blade and the database of examples/web-and-mail on virtual machines. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { OBSERVER } from '../../lab/segment.ts';
import type { LabBlade, LabFleet } from '../lab-fleet.fixture.ts';
import { assertRuns, DATABASE01, exampleFleet, MAIL01 } from './example.fixture.ts';

let fleet: LabFleet;

before(async () => {
  fleet = await exampleFleet('example-site', [MAIL01, DATABASE01]);
});

after(async () => await fleet.down());

/** What psql prints, asked on a blade; or why it fails. */
async function psql(on: LabBlade, as: string, sql: string): Promise<string> {
  return await fleet.shell.on(on, `cd /; ${as} psql --no-psqlrc -At -c "${sql}" 2>&1 || true`);
}

test('each of them runs its own services, and nothing of the other', async () => {
  const [mail01, database01] = await Promise.all([fleet.up(MAIL01), fleet.up(DATABASE01)]);
  assert.deepEqual([mail01.services, database01.services], ['running', 'running']);
  await assertRuns(fleet, MAIL01, ['ssh', 'postfix']);
  await assertRuns(fleet, DATABASE01, ['ssh', 'postgresql']);
});

test('the mail blade takes mail for the domain; what is for root goes to the administrator', async () => {
  const letter = join(fleet.directory, 'root', 'letter');
  await writeFile(letter, 'Subject: shop\r\n\r\nIt is open.\r\n');
  const from = ['--mail-from', 'someone@example.com', '--mail-rcpt', 'postmaster@example.net'];
  const send = ['--silent', '--show-error', '--max-time', '60', ...from, '--upload-file', letter];
  await fleet.lab.exec(OBSERVER, 'curl', [`smtp://${MAIL01.address}`, ...send]);

  // There is nobody in the lab who would take it; where it is to go is what counts.
  const log = 'timeout 60 journalctl --follow --no-tail --output=cat --identifier=postfix/smtp';
  const sent = "grep --max-count=1 'orig_to=<postmaster@example.net>'";
  assert.match(await fleet.shell.on(MAIL01, `${log} | ${sent}`), / to=<ops@example\.org>, /);
});

test('the database lies on the persistent partition, and lets in web blades alone', async () => {
  const postgres = 'runuser -u postgres --';
  assert.equal(await psql(DATABASE01, postgres, 'show data_directory'), '/persist/postgresql/15/main');
  assert.equal(await fleet.shell.on(DATABASE01, 'findmnt -no TARGET -T /persist/postgresql'), '/persist');
  const rules = "select address from pg_hba_file_rules where type = 'host'";
  assert.equal(await psql(DATABASE01, postgres, rules), '10.20.0.21\n10.20.0.22');
  const shop = `PGUSER=shop PGDATABASE=shop PGHOST=${DATABASE01.address}`;
  assert.match(await psql(MAIL01, shop, 'select 1'), /no pg_hba\.conf entry for host "10\.20\.0\.31"/);
});
