/**
 * Whether the front end should stop reading sockets: what the `block` policy says.
 *
 * Invariant: `onPause` is called when a pause begins, `onResume` when it ends; pausing twice is pausing once. The hooks
 * are called from inside admission and must not call it back before they return.
 */
export class IntakePause {
  /** Set by the front end's owner. */
  onPause: (() => void) | null = null;
  onResume: (() => void) | null = null;
  #paused = false;

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.onPause?.();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.onResume?.();
  }
}
