/**
 * Whether the front end should stop reading sockets, and who says so. Holders are named, so that two reasons never
 * cancel each other out and a log line can tell why intake stands still.
 *
 * Invariant: `onPause` is called when the first holder comes, `onResume` when the last one goes. Holding twice under
 * one name is holding once. The hooks are called from inside admission and must not call it back before they return.
 */
export type PauseHolder = 'queue' | 'memory' | 'draining';

export class IntakePause {
  /** Set by the front end's owner. */
  onPause: (() => void) | null = null;
  onResume: (() => void) | null = null;
  readonly #holders = new Set<PauseHolder>();

  get paused(): boolean {
    return this.#holders.size > 0;
  }

  get holders(): ReadonlySet<PauseHolder> {
    return this.#holders;
  }

  hold(name: PauseHolder): void {
    const wasPaused = this.paused;
    this.#holders.add(name);
    if (!wasPaused) this.onPause?.();
  }

  release(name: PauseHolder): void {
    if (this.#holders.delete(name) && !this.paused) this.onResume?.();
  }
}
