/**
 * Whether request bodies are handed on: the `block` overload policy.
 *
 * Role: while paused, a request whose body has come is held, its socket is not read any further, and it is handed on
 * in order of arrival when there is room again. Requests without a body (health, metrics, streams) go on.
 * Bound: HTTP/1.1 has one request under way per connection, so at most `connectionsMax` bodies are held.
 */
export interface HeldRequest {
  /** Reads its socket again and hands its body on. */
  release(): void;
}

export class Intake {
  paused = false;
  readonly #held = new Set<HeldRequest>();

  hold(request: HeldRequest): void {
    this.#held.add(request);
  }

  /** The client has gone. */
  drop(request: HeldRequest): void {
    if (this.#held.size > 0) this.#held.delete(request);
  }

  pause(): void {
    this.paused = true;
  }

  /** Handing on may fill the queue again: then the rest stays held. */
  resume(): void {
    this.paused = false;
    for (const request of this.#held) {
      if (this.paused) return;
      this.#held.delete(request);
      request.release();
    }
  }
}
