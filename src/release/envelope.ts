/**
 * Signed statements, as DSSE envelopes (github.com/secure-systems-lab/dsse, protocol and envelope): the signature is
 * over the payload's exact bytes and its type, and is checked before a byte of the payload is parsed.
 */
import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';

const envelopeSchema = z.strictObject({
  payloadType: z.string(),
  payload: z.base64(),
  signatures: z
    .array(z.strictObject({ keyid: z.string(), sig: z.base64() }))
    .min(1)
    .max(8),
});

/** The key's name in envelopes: the start of the SHA-256 of its public half. A hint for people, not for checking. */
export function keyId(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

/** Signs `statement` (anything JSON can hold) with an ed25519 private key; the result is the envelope's text. */
export function seal(payloadType: string, statement: unknown, privateKey: KeyObject): string {
  const payload = Buffer.from(JSON.stringify(statement));
  const signature = sign(null, preAuthEncoding(payloadType, payload), privateKey);
  return sealed(payloadType, payload, { keyid: keyId(privateKey), signature });
}

/** The envelope's text, of a payload and the signature over its `preAuthEncoding`. */
export function sealed(
  payloadType: string,
  payload: Buffer,
  { keyid, signature }: { keyid: string; signature: Buffer },
): string {
  const signatures = [{ keyid, sig: signature.toString('base64') }];
  return `${JSON.stringify({ payloadType, payload: payload.toString('base64'), signatures })}\n`;
}

/**
 * The statement in an envelope, once it is sure that the fleet's key has signed it.
 * @param what names the statement in errors, such as `release 3`.
 * @throws BladerootError `SIGNATURE_INVALID` when it is no envelope, of another type, or signed by no or another key.
 */
export function openEnvelope<T>(
  text: string | Uint8Array,
  expected: { payloadType: string; schema: z.ZodType<T>; what: string },
  publicKey: KeyObject,
): T {
  const refuse = (why: string): BladerootError =>
    new BladerootError('SIGNATURE_INVALID', `${expected.what} ${why}`, {
      hint: `it is not used; make it again with the fleet's key (${keyId(publicKey)})`,
    });
  const json = parseJson(Buffer.from(text).toString());
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) throw refuse('is not signed (it is no signed envelope)');
  if (envelope.data.payloadType !== expected.payloadType) {
    throw refuse(`is of type ${envelope.data.payloadType}, not ${expected.payloadType}`);
  }
  const payload = Buffer.from(envelope.data.payload, 'base64');
  const signed = preAuthEncoding(expected.payloadType, payload);
  const good = envelope.data.signatures.some(({ sig }) =>
    verify(null, signed, publicKey, Buffer.from(sig, 'base64')),
  );
  if (!good) throw refuse("was altered, or is not signed by this fleet's key");
  const statement = expected.schema.safeParse(parseJson(payload.toString()));
  if (!statement.success) {
    const why = statement.error.issues.map(
      ({ path, message }) => `${path.join('.') || 'all of it'}: ${message}`,
    );
    throw refuse(`is not understood by this version (${why.join('; ')})`);
  }
  return statement.data;
}

/** What is signed, DSSE's PAE: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body. */
export function preAuthEncoding(payloadType: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
