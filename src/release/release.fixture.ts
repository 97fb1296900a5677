/** For tests: a fleet's key, and releases that it has signed. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { sha256 } from '../store/digest.ts';
import { seal } from './envelope.ts';
import { openRelease, type SignedRelease } from './repository.ts';
import { RELEASE_TYPE, type Blob, type ReleaseStatement } from './statement.ts';

export function sampleKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey;
}

export function blobOf(content: string): Blob {
  return { digest: sha256(Buffer.from(content)), bytes: Buffer.byteLength(content) };
}

/** A release for web01 and mail01, with nothing behind its digests. */
export function sampleStatement(changes: Partial<ReleaseStatement> = {}): ReleaseStatement {
  const blade = { netmask: '255.255.255.0', dns: [], kernelArgs: ['quiet'], overlay: blobOf('overlay') };
  return {
    type: 'bladeroot-release',
    version: 1,
    fleet: 'lab',
    sequence: 1,
    created: '2026-01-02T03:04:05.000Z',
    snapshot: { id: sha256(Buffer.from('manifest')), tree: 'debian' },
    kernel: { ...blobOf('kernel'), version: '6.1.0-9' },
    initrd: blobOf('initrd'),
    loaders: { 'undionly.kpxe': blobOf('loader') },
    config: blobOf('config'),
    blades: [
      { ...blade, name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11' },
      { ...blade, name: 'mail01', mac: '52:54:00:77:00:21', address: '10.77.0.21' },
    ],
    ...changes,
  };
}

export function sampleRelease(key: KeyObject, changes: Partial<ReleaseStatement> = {}): SignedRelease {
  const envelope = Buffer.from(seal(RELEASE_TYPE, sampleStatement(changes), key));
  return openRelease(envelope, createPublicKey(key));
}
