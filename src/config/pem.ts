/**
 * PEM files and texts, looked at before anything is made of them: what is wrong with one, in words, or null.
 *
 * Role: the socket layers tell of a key that they cannot use as of a port that is taken, or with a number of OpenSSL, and
 * only once they open; so the pair is tried here, as they will. Neither has a passphrase to give.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/** `key`, `certificate`: of which of the two it is wrong. */
export interface PairProblem {
  readonly of: 'key' | 'certificate';
  readonly reason: string;
}

export function unreadablePem(path: string): string | null {
  try {
    return readFileSync(path).includes('-----BEGIN') ? null : 'must be a PEM file';
  } catch (error) {
    return `cannot be read: ${(error as NodeJS.ErrnoException).code}`;
  }
}

/** Of files that can be read. The certificate of the server itself is the first of its chain. */
export function wrongPair(keyFile: string, certificateFile: string): PairProblem | null {
  const certificate = made(() => new X509Certificate(readFileSync(certificateFile)));
  if (certificate === null) return { of: 'certificate', reason: 'holds no certificate that can be read' };
  const pem = readFileSync(keyFile);
  if (ENCRYPTED.test(pem.toString('latin1'))) {
    return { of: 'key', reason: 'is encrypted: it must be a key without a passphrase' };
  }
  const key = made(() => createPrivateKey(pem));
  if (key === null) return { of: 'key', reason: 'holds no private key that can be read' };
  return certificate.checkPrivateKey(key) ? null : { of: 'key', reason: 'is not the key of the certificate' };
}

export function isPublicKey(pem: string): boolean {
  return made(() => createPublicKey(pem)) !== null;
}

/** Null: OpenSSL refuses it. Its own words are numbers of its decoders, which say nothing of what was expected. */
function made<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}
