// HOT PATH
/**
 * Verdicts on tokens that were checked before, by digest, so that a client's second request is answered at once.
 *
 * Bounds: `VERIFIED_TOKENS_MAX` verdicts, the least recently used goes first; none outlives its token, nor
 * `VERDICT_MS_MAX`, after which keys that were withdrawn take effect.
 */
import type { Principal } from '../catalogue/define.ts';
import type { AuthRefusal } from '../protocol/authenticator.ts';

export const VERIFIED_TOKENS_MAX = 10_000;
export const VERDICT_MS_MAX = 300_000;

export type Verdict = Principal | AuthRefusal;

interface Row {
  readonly verdict: Verdict;
  readonly untilMs: number;
}

export class VerifiedTokens {
  /** In order of last use. */
  readonly #rows = new Map<string, Row>();

  get size(): number {
    return this.#rows.size;
  }

  get(digest: string, nowMs: number): Verdict | null {
    const row = this.#rows.get(digest);
    if (row === undefined) return null;
    this.#rows.delete(digest);
    if (nowMs >= row.untilMs) return null;
    this.#rows.set(digest, row);
    return row.verdict;
  }

  set(digest: string, verdict: Verdict, expiresAtMs: number, nowMs: number): void {
    const untilMs = Math.min(expiresAtMs, nowMs + VERDICT_MS_MAX);
    if (untilMs <= nowMs) return;
    this.#rows.delete(digest);
    if (this.#rows.size >= VERIFIED_TOKENS_MAX) {
      const oldest = this.#rows.keys().next();
      if (!oldest.done) this.#rows.delete(oldest.value);
    }
    this.#rows.set(digest, { verdict, untilMs });
  }
}
