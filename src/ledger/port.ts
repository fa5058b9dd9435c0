/**
 * Port of the idempotency ledger: one execution per key, the same answer for whoever asks again.
 *
 *   begin ─► run      the caller executes, then `finish` or `abandon`
 *         ─► done     executed: the answer
 *         ─► differs  the key was used for another request
 *         ─► busy     somebody still executes it, and `waitMs` is over, or too many wait for it
 *         ─► unknown  whoever executed it has gone without an answer, and it must not be executed twice
 *         ─► full     too many keys are kept, none of them may be forgotten
 */
export interface LedgerAnswer {
  readonly status: number;
  /** The JSON-RPC response, encoded; its id is the first caller's. */
  readonly responseJson: string;
}

export type Begun =
  | { readonly kind: 'run'; readonly token: string }
  | { readonly kind: 'done'; readonly answer: LedgerAnswer }
  | { readonly kind: 'differs' | 'busy' | 'unknown' | 'full' };

export interface LedgerQuestion {
  /** Scoped to its owner by the caller. */
  readonly key: string;
  /** Digest of what is asked. */
  readonly fingerprint: string;
  /** It may be executed again when whoever executed it has gone. */
  readonly repeatable: boolean;
  /** How long a call with the same key that runs is waited for. */
  readonly waitMs: number;
  /** False: its client has gone; a call that waits then need not go on. */
  readonly isWanted: () => boolean;
}

export interface Ledger {
  /** Rejects with `RedisUnavailable` when nobody can tell whether it was executed. */
  begin(question: LedgerQuestion): Promise<Begun>;
  /**
   * Kept for the ledger's TTL. False: the claim was lost, and the answer of another execution stands. Does not reject:
   * an answer that cannot be stored now is stored when it can be, as long as the claim stands.
   */
  finish(key: string, token: string, answer: LedgerAnswer): Promise<boolean>;
  /** The call was not executed: the next one with this key may be. Does not reject. */
  abandon(key: string, token: string): Promise<void>;
  /** Keys this node executes now. */
  readonly running: number;
  close(): void;
}
