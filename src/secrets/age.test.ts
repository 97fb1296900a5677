import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { run, runForBytes } from '../system/run.ts';
import { decryptWith, encryptTo, makeIdentity, recipientOf } from './age.ts';
import { newIdentity, readIdentities, writeIdentity } from './identity-file.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-age-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Longer than the 64 KiB in which age encrypts, and no text. */
const clear = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7919) % 256));

test('age(1) reads what is written here, with an identity in a file that is written here', async (t) => {
  const directory = await scratch(t);
  const [one, two] = [await newIdentity(), await newIdentity()];
  const key = join(directory, 'two.key');
  await writeIdentity(key, two);
  const file = join(directory, 'secret.age');
  await writeFile(file, await encryptTo(clear, [one.recipient, two.recipient]));
  assert.deepEqual(await runForBytes('age', ['--decrypt', '--identity', key, file]), clear);
  assert.equal((await run('age-keygen', ['-y', key])).stdout.trim(), two.recipient);
});

test('what age(1) writes, armoured or not, is read here with an identity of age-keygen', async (t) => {
  const directory = await scratch(t);
  const key = join(directory, 'key');
  await run('age-keygen', ['-o', key]);
  const [identity] = (await readIdentities(key)) ?? [];
  assert.ok(identity !== undefined);
  for (const armour of [['--armor'], []]) {
    const file = join(directory, 'secret.age');
    await writeFile(join(directory, 'clear'), clear);
    const args = ['--recipient', identity.recipient, '--output', file, join(directory, 'clear')];
    await run('age', ['--encrypt', ...armour, ...args]);
    assert.deepEqual(await decryptWith(await readFile(file), [identity.secret], 'it'), clear);
  }
});

test('whatever is encrypted comes back for each of its recipients, and for nobody else', async () => {
  const identities = await Promise.all([makeIdentity(), makeIdentity(), makeIdentity(), makeIdentity()]);
  const recipients = await Promise.all(identities.map(recipientOf));
  const some = fc.subarray([0, 1, 2, 3], { minLength: 1, maxLength: 3 });
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), some, async (bytes, chosen) => {
    const ciphertext = await encryptTo(
      bytes,
      recipients.filter((_, index) => chosen.includes(index)),
    );
    for (const [index, identity] of identities.entries()) {
      const work = decryptWith(ciphertext, [identity], 'it');
      if (chosen.includes(index)) assert.deepEqual(await work, Buffer.from(bytes));
      else await assert.rejects(work, { code: 'SECRET_UNREADABLE' });
    }
  });
  await fc.assert(property, { numRuns: 10 });
});

test('a byte that was changed, a file that is cut off, and clear text are refused', async () => {
  const { secret, recipient } = await newIdentity();
  const armoured = (await encryptTo(Buffer.from('it'), [recipient])).toString();
  const lines = armoured.split('\n');
  const last = lines.at(-3) ?? '';
  const changed = armoured.replace(last, (last.startsWith('A') ? 'B' : 'A') + last.slice(1));
  assert.notEqual(changed, armoured);
  for (const damaged of [changed, armoured.slice(0, -60)]) {
    await assert.rejects(decryptWith(Buffer.from(damaged), [secret], 'it'), { code: 'SECRET_UNREADABLE' });
  }
  await assert.rejects(decryptWith(Buffer.from('hello'), [secret], 'it'), { code: 'NOT_ENCRYPTED' });
});

/** Its last letter is another one. */
function wrong(text: string): string {
  return text.slice(0, -1) + (text.endsWith('Q') || text.endsWith('q') ? 'p' : 'q');
}

test('a recipient with a wrong letter is named; an identity with one is not', async (t) => {
  const { secret, recipient } = await newIdentity();
  await assert.rejects(encryptTo(Buffer.from('it'), [wrong(recipient)]), {
    code: 'BAD_RECIPIENT',
    message: new RegExp(wrong(recipient)),
  });
  const path = join(await scratch(t), 'key');
  await writeFile(path, `# a comment\n\n${wrong(secret)}\n`, { mode: 0o600 });
  await assert.rejects(readIdentities(path), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'BAD_IDENTITY');
    assert.ok(
      !JSON.stringify([error.message, error.stack, String(error.cause)]).includes(secret.slice(16, 40)),
    );
    return true;
  });
});

test('an identity is written for its owner alone, and one that others can read is refused', async (t) => {
  const path = join(await scratch(t), 'identity/age.key');
  const identity = await newIdentity();
  await writeIdentity(path, identity);
  assert.deepEqual(await readIdentities(path), [identity]);
  assert.equal((await run('stat', ['-c', '%a', path])).stdout, '600\n');
  await run('chmod', ['640', path]);
  await assert.rejects(readIdentities(path), { code: 'IDENTITY_EXPOSED' });
  assert.equal(await readIdentities(`${path}.not`), undefined);
});
