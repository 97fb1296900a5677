import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { z } from 'zod';
import { describeError } from '../errors.ts';
import { keyId, openEnvelope, seal } from './envelope.ts';
import { sampleKey } from './release.fixture.ts';

const TYPE = 'application/vnd.bladeroot.test+json';
const key = sampleKey();
const publicKey = createPublicKey(key);
const expected = { payloadType: TYPE, schema: z.strictObject({ word: z.string() }), what: 'release 3' };

const open = (text: string | Uint8Array): { word: string } => openEnvelope(text, expected, publicKey);

/** An envelope with one of its fields changed. */
function changed(field: string, change: (value: string) => unknown): string {
  const envelope: Record<string, string> = JSON.parse(seal(TYPE, { word: 'yes' }, key));
  return JSON.stringify({ ...envelope, [field]: change(envelope[field] ?? '') });
}

function refusal(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    const said = describeError(error);
    assert.match(said, message);
    assert.match(said, new RegExp(`it is not used; make it again with the fleet's key \\(${keyId(key)}\\)`));
    assert.doesNotMatch(said, /\n/, 'one line');
    return error instanceof Error && 'code' in error && error.code === 'SIGNATURE_INVALID';
  };
}

test('what is sealed is opened, from text and from bytes', () => {
  const sealed = seal(TYPE, { word: 'grüß' }, key);
  assert.deepEqual(open(sealed), { word: 'grüß' });
  assert.deepEqual(open(Buffer.from(sealed)), { word: 'grüß' });
});

test('the signature is over the pre-authentication encoding of DSSE', async () => {
  const { verify } = await import('node:crypto');
  const envelope = z
    .object({ payload: z.string(), signatures: z.array(z.object({ sig: z.string() })) })
    .parse(JSON.parse(seal(TYPE, { word: 'yes' }, key)));
  const signed = Buffer.from(`DSSEv1 ${TYPE.length} ${TYPE} 14 {"word":"yes"}`);
  const [signature] = envelope.signatures;
  assert.ok(verify(null, signed, publicKey, Buffer.from(signature?.sig ?? '', 'base64')));
});

test('an altered payload is refused', () => {
  const other = Buffer.from('{"word":"no"}').toString('base64');
  assert.throws(
    () => open(changed('payload', () => other)),
    refusal(/^release 3 was altered, or is not signed by this fleet's key; /),
  );
});

test('another type is refused, also when it was only written over', () => {
  assert.throws(
    () => open(seal('application/other', { word: 'yes' }, key)),
    refusal(/^release 3 is of type application\/other, not application\/vnd\.bladeroot\.test/),
  );
  const renamed: object = JSON.parse(seal('application/other', { word: 'yes' }, key));
  assert.throws(() => open(JSON.stringify({ ...renamed, payloadType: TYPE })), refusal(/was altered/));
});

test('the signature of another key is refused, whatever name it gives its key', () => {
  const forged = seal(TYPE, { word: 'yes' }, sampleKey()).replace(/"keyid":"\w+"/, `"keyid":"${keyId(key)}"`);
  assert.throws(() => open(forged), refusal(/not signed by this fleet's key/));
});

test('a good signature among others is enough: keys can be changed one after the other', () => {
  const sig = Buffer.alloc(64).toString('base64');
  const both = changed('signatures', (good) => [{ keyid: 'old', sig }, ...good]);
  assert.deepEqual(open(both), { word: 'yes' });
});

test('a signature of no length, or of a wrong one, is refused and does not fail otherwise', () => {
  for (const sig of ['', 'AAAA']) {
    assert.throws(() => open(changed('signatures', () => [{ keyid: '', sig }])), refusal(/was altered/));
  }
});

test('what is no envelope is refused as not signed', () => {
  const unsigned = ['', 'hello', '{"word":"yes"}', 'null', '[]', changed('signatures', () => [])];
  for (const text of [...unsigned, Buffer.from([0xff, 0x00])]) {
    assert.throws(() => open(text), refusal(/^release 3 is not signed \(it is no signed envelope\); /));
  }
});

test('a signed statement of another form is refused on one line that says where', () => {
  assert.throws(
    () => open(seal(TYPE, { word: 1, more: 2 }, key)),
    refusal(/^release 3 is not understood by this version \(word: .*; all of it: .*more/),
  );
});
