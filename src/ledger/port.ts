/**
 * Port of the idempotency ledger: one execution per key, the same answer for whoever asks again.
 *
 *   begin ─► 'run' (the caller executes, then `finish` or `abandon`)
 *         ─► 'wait' (someone executes: resolves with the answer, or with `abandoned` when that one gave up)
 *         ─► 'done' (the answer)          ─► 'differs' (the key was used for another request)
 */
export interface LedgerAnswer {
  readonly status: number;
  /** The JSON-RPC response, encoded; its id is the first caller's. */
  readonly responseJson: string;
}

export type Begun =
  | { readonly kind: 'run'; readonly token: string }
  | { readonly kind: 'done'; readonly answer: LedgerAnswer }
  | { readonly kind: 'differs' };

export interface Ledger {
  /**
   * `key` is scoped to the principal by the caller; `fingerprint` is a digest of what is asked. Waits while another call
   * with the same key runs, at most `waitMs`; rejects with a `Fault`-like error when that is over or the ledger is away.
   */
  begin(key: string, fingerprint: string, waitMs: number): Promise<Begun>;
  /** Kept for the ledger's TTL. False: the execution had lost its claim, and the answer of another one stands. */
  finish(key: string, token: string, answer: LedgerAnswer): Promise<boolean>;
  /** The call was not executed: the next one with this key may be. */
  abandon(key: string, token: string): Promise<void>;
}
