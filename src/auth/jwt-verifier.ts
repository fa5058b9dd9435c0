/**
 * Checks JWT access tokens: signature against the issuer's published keys or one configured key, algorithm on the
 * allow-list, issuer, audience, times. The only place that knows jose.
 *
 * Invariants: only asymmetric algorithms are ever accepted, so a public key can never serve as a shared secret; `exp`
 * is required; whatever goes wrong is a value, with the token left out of it.
 * Key sets are fetched on first use and on an unknown key id, at most once in `JWKS_COOLDOWN_MS`.
 */
import { createPublicKey } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Principal } from '../catalogue/define.ts';
import type { AuthSettings } from '../config/settings.ts';

export type JwtSettings = NonNullable<AuthSettings['jwt']>;

export interface VerifiedToken {
  readonly principal: Principal;
  readonly expiresAtMs: number;
}

/** `keys`: nothing is wrong with the token as far as known, but the keys could not be had. */
export interface TokenProblem {
  readonly problem: 'invalid' | 'expired' | 'keys';
  /** For the log. */
  readonly reason: string;
}

const JWKS_TIMEOUT_MS = 5000;
const JWKS_COOLDOWN_MS = 30_000;
const JWKS_AGE_MS_MAX = 600_000;
/** Clocks of issuer and server may differ by this much. */
const CLOCK_SKEW_S = 5;
const ASYMMETRIC = /^(RS|PS|ES)(256|384|512)$|^EdDSA$|^Ed25519$/;
/** Claims that are spent here; the others are for tools to read. `__proto__` is no claim anyone may set. */
const SPENT_CLAIMS: ReadonlySet<string> = new Set([
  'iss',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'scope',
  'scp',
  '__proto__',
]);
/** What jose says when the token is at fault. Anything else means that the keys could not be had. */
const TOKEN_ERRORS: ReadonlySet<string> = new Set([
  errors.JWTClaimValidationFailed.code,
  errors.JWTInvalid.code,
  errors.JWSInvalid.code,
  errors.JWSSignatureVerificationFailed.code,
  errors.JOSEAlgNotAllowed.code,
  errors.JOSENotSupported.code,
  errors.JWKSNoMatchingKey.code,
  errors.JWKSMultipleMatchingKeys.code,
]);

const KEY_ERRORS: ReadonlySet<string> = new Set(['DataError', 'InvalidAccessError', 'NotSupportedError']);

export class JwtVerifier {
  readonly #settings: JwtSettings;
  readonly #keys: JWTVerifyGetKey;

  /** Throws on settings that cannot work: an unreadable key, an algorithm that is not asymmetric. */
  constructor(settings: JwtSettings) {
    const unfit = settings.algorithms.find((name) => !ASYMMETRIC.test(name));
    if (unfit !== undefined) throw new Error(`auth.jwt.algorithms: ${unfit} is not an asymmetric signature algorithm`);
    this.#settings = settings;
    this.#keys = keysOf(settings);
  }

  async verify(token: string, nowMs: number): Promise<VerifiedToken | TokenProblem> {
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: [...this.#settings.algorithms],
        issuer: this.#settings.issuer,
        audience: this.#settings.audience,
        requiredClaims: ['exp'],
        clockTolerance: CLOCK_SKEW_S,
        currentDate: new Date(nowMs),
      });
      return verified(payload);
    } catch (error) {
      return problemOf(error);
    }
  }
}

function keysOf(settings: JwtSettings): JWTVerifyGetKey {
  if (settings.publicKeyPem !== '') {
    const key = createPublicKey(settings.publicKeyPem);
    return async () => key;
  }
  return createRemoteJWKSet(new URL(settings.jwksUri), {
    timeoutDuration: JWKS_TIMEOUT_MS,
    cooldownDuration: JWKS_COOLDOWN_MS,
    cacheMaxAge: JWKS_AGE_MS_MAX,
  });
}

function verified(payload: JWTPayload): VerifiedToken | TokenProblem {
  const id = typeof payload.sub === 'string' && payload.sub !== '' ? payload.sub : payload['client_id'];
  if (typeof id !== 'string' || id === '') return { problem: 'invalid', reason: 'neither sub nor client_id' };
  const claims = Object.fromEntries(Object.entries(payload).filter(([name]) => !SPENT_CLAIMS.has(name)));
  const principal: Principal = Object.freeze({ id, scopes: scopesOf(payload), claims });
  return { principal, expiresAtMs: (payload.exp ?? 0) * 1000 };
}

/** `scope` is a string of names between spaces (RFC 8693); some issuers write `scp`, as a string or a list. */
function scopesOf(payload: JWTPayload): readonly string[] {
  const scope = payload['scope'] ?? payload['scp'];
  if (typeof scope === 'string') return scope.split(' ').filter((name) => name !== '');
  return Array.isArray(scope) ? scope.filter((name) => typeof name === 'string') : [];
}

function problemOf(error: unknown): TokenProblem {
  if (error instanceof errors.JWTExpired) return { problem: 'expired', reason: error.code };
  if (!(error instanceof errors.JOSEError)) {
    // A key of another kind than the token's algorithm: the token chose the algorithm.
    if (isWrongKey(error)) return { problem: 'invalid', reason: 'wrong kind of key' };
    return { problem: 'keys', reason: error instanceof Error ? error.message : 'unknown' };
  }
  if (!TOKEN_ERRORS.has(error.code)) return { problem: 'keys', reason: `${error.code}: ${error.message}` };
  const claim = error instanceof errors.JWTClaimValidationFailed ? ` ${error.claim}` : '';
  return { problem: 'invalid', reason: error.code + claim };
}

/** What WebCrypto says of a key depends on the version of Node.js. `fetch` rejects with a TypeError that has a cause. */
function isWrongKey(error: unknown): boolean {
  if (error instanceof DOMException) return KEY_ERRORS.has(error.name);
  return error instanceof TypeError && error.cause === undefined;
}
