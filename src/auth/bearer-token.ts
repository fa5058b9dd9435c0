/**
 * The token in an `Authorization` header, and what stands for it afterwards: a digest.
 *
 * Tokens are neither kept nor logged nor compared. Look-ups go by a salted SHA-256 digest; the salt is random per
 * process, so nobody outside can tell which digest a guess has, and the time a look-up takes says nothing about a token.
 */
import { hash, randomBytes } from 'node:crypto';

/** Longest token that is looked at, in characters; the header limit of the front end is larger. */
export const TOKEN_CHARS_MAX = 8192;
const SCHEME_CHARS = 'bearer '.length;
const salt = randomBytes(32).toString('base64');

/** The token of a `Bearer` header, `''` when it has another scheme, no token, or one too long. */
export function bearerToken(header: string): string {
  if (header.length > SCHEME_CHARS + TOKEN_CHARS_MAX) return '';
  if (header.slice(0, SCHEME_CHARS).toLowerCase() !== 'bearer ') return '';
  return header.slice(SCHEME_CHARS).trim();
}

/** The key under which this process knows a token. */
export function tokenDigest(token: string): string {
  return hash('sha256', salt + token, 'base64');
}
