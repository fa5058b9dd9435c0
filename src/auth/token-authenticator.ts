/**
 * Who is calling, from the `Authorization` header: static tokens, then tokens known from before, then JWTs.
 *
 * Role: the `Authenticator` of the protocol's port. The first two answer at once; only a JWT not seen before costs a
 * promise, and requests that bring the same one meanwhile share it. So the path of a repeated token has no await.
 * Invariants: never throws or rejects; a token without every required scope is refused with 403, however good it is.
 * Bound: `VERIFICATIONS_MAX` checks at once; one more is refused, since a flood of made-up tokens must not pile up.
 */

import type { Principal } from '../catalogue/define.ts';
import type { AuthSettings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import type { Authenticator } from '../protocol/authenticator.ts';
import { bearerToken, tokenDigest } from './bearer-token.ts';
import { type Refusals, refusals } from './challenge.ts';
import type { JwtVerifier } from './jwt-verifier.ts';
import { type Verdict, VerifiedTokens } from './verified-tokens.ts';

export const VERIFICATIONS_MAX = 256;

export class TokenAuthenticator implements Authenticator {
  readonly #requiredScopes: readonly string[];
  readonly #refusals: Refusals;
  readonly #log: Log;
  readonly #epochMs: () => number;
  /** Static tokens, by digest. */
  readonly #static = new Map<string, Verdict>();
  readonly #verified = new VerifiedTokens();
  readonly #verifying = new Map<string, Promise<Verdict>>();
  readonly #jwt: JwtVerifier | null;

  /** `jwt` null: static tokens alone are accepted. `epochMs` is wall-clock time: tokens expire by it. */
  constructor(settings: AuthSettings, log: Log, jwt: JwtVerifier | null, epochMs: () => number = Date.now) {
    this.#requiredScopes = settings.requiredScopes;
    this.#refusals = refusals(settings);
    this.#log = log;
    this.#epochMs = epochMs;
    this.#jwt = jwt;
    for (const { token, id, scopes } of settings.tokens) {
      this.#static.set(tokenDigest(token), this.#judge(Object.freeze({ id, scopes })));
    }
  }

  authenticate(authorizationHeader: string): Verdict | Promise<Verdict> {
    if (authorizationHeader === '') return this.#refusals.missing;
    const token = bearerToken(authorizationHeader);
    if (token === '') return this.#refusals.invalid;
    const digest = tokenDigest(token);
    const known = this.#static.get(digest) ?? this.#verified.get(digest, this.#epochMs());
    if (known !== null) return known;
    if (this.#jwt === null) return this.#refusals.invalid;
    const underway = this.#verifying.get(digest);
    if (underway !== undefined) return underway;
    if (this.#verifying.size >= VERIFICATIONS_MAX) return this.#refusals.unavailable;
    const verdict = this.#verify(this.#jwt, digest, token);
    this.#verifying.set(digest, verdict);
    return verdict;
  }

  async #verify(jwt: JwtVerifier, digest: string, token: string): Promise<Verdict> {
    const answer = await jwt.verify(token, this.#epochMs());
    this.#verifying.delete(digest);
    if ('principal' in answer) {
      const verdict = this.#judge(answer.principal);
      this.#verified.set(digest, verdict, answer.expiresAtMs, this.#epochMs());
      return verdict;
    }
    if (answer.problem === 'keys') {
      this.#log.warn({ reason: answer.reason }, 'the keys for access tokens could not be fetched');
      return this.#refusals.unavailable;
    }
    this.#log.debug({ reason: answer.reason }, 'access token refused');
    return answer.problem === 'expired' ? this.#refusals.expired : this.#refusals.invalid;
  }

  #judge(principal: Principal): Verdict {
    for (const scope of this.#requiredScopes) {
      if (!principal.scopes.includes(scope)) return this.#refusals.scope;
    }
    return principal;
  }
}
