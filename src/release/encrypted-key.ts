/**
 * A private key under a passphrase, in the form that every `openssl pkey` reads: PKCS #8 EncryptedPrivateKeyInfo (RFC 5958
 * §3) with PBES2 (RFC 8018 §6.2), scrypt (RFC 7914 §7) and AES-256-CBC. Node writes that form with PBKDF2 of 2048 rounds
 * only, which is no match for who guesses: every blade carries this file.
 */
import { createCipheriv, createPrivateKey, randomBytes, scryptSync, type KeyObject } from 'node:crypto';
import { BladerootError } from '../errors.ts';

const LABEL = 'ENCRYPTED PRIVATE KEY';

/** 16 MiB, the most that OpenSSL takes without being asked to, and half a second of a core for each guess. */
const SCRYPT = { N: 2 ** 14, r: 8, p: 8 };

export const SHORTEST_PASSPHRASE = 12;

/**
 * The key as PEM that only the passphrase opens.
 * @throws BladerootError `PASSPHRASE_SHORT`
 */
export function encryptKey(key: KeyObject, passphrase: string): string {
  if (passphrase.length < SHORTEST_PASSPHRASE) {
    throw new BladerootError(
      'PASSPHRASE_SHORT',
      `a passphrase of ${passphrase.length} characters is too short`,
      {
        hint: `every blade carries what it protects: choose ${SHORTEST_PASSPHRASE} characters or more, such as five words that nobody says together`,
      },
    );
  }
  const [salt, iv] = [randomBytes(16), randomBytes(16)];
  const cipher = createCipheriv('aes-256-cbc', scryptSync(passphrase, salt, 32, SCRYPT), iv);
  const plain = key.export({ type: 'pkcs8', format: 'der' });
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  const kdf = sequence(
    SCRYPT_OID,
    sequence(octets(salt), integer(SCRYPT.N), integer(SCRYPT.r), integer(SCRYPT.p)),
  );
  const scheme = sequence(AES_256_CBC_OID, octets(iv));
  const der = sequence(sequence(PBES2_OID, sequence(kdf, scheme)), octets(encrypted));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${LABEL}-----`, ...lines, `-----END ${LABEL}-----`, ''].join('\n');
}

export function isEncrypted(pem: string): boolean {
  return pem.includes(`-----BEGIN ${LABEL}-----`);
}

/** Also of a file that OpenSSL has encrypted in another way. @throws BladerootError `WRONG_PASSPHRASE` */
export function decryptKey(pem: string, passphrase: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch (error) {
    // A wrong key ends in bad padding, or, once in 256 times, in what is no key.
    throw new BladerootError('WRONG_PASSPHRASE', 'the passphrase is not that of this key', {
      hint: 'try again; if it is right, the file is damaged: every blade has it, too (`bladeroot key show` names the blob)',
      cause: error,
    });
  }
}

/** Object identifiers in DER: 1.2.840.113549.1.5.13, 1.3.6.1.4.1.11591.4.11, 2.16.840.1.101.3.4.1.42. */
const PBES2_OID = Buffer.from('06092a864886f70d01050d', 'hex');
const SCRYPT_OID = Buffer.from('06092b06010401da47040b', 'hex');
const AES_256_CBC_OID = Buffer.from('060960864801650304012a', 'hex');

function sequence(...parts: Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

function octets(bytes: Buffer): Buffer {
  return element(0x04, bytes);
}

/** @param value not negative, below 2^31 */
function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  const first = bytes.findIndex((byte) => byte !== 0);
  // A leading bit of 1 would say that it is negative.
  const from = first > 0 && (bytes[first] ?? 0) >= 0x80 ? first - 1 : first < 0 ? 4 : first;
  return element(0x02, bytes.subarray(from));
}

/** One DER element; all that stands here is shorter than 64 KiB. */
function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...long]), content]);
}
