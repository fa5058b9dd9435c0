/**
 * How long whoever starts the streams waits for a start that waits for sinks.
 *
 * Role: a replay gives results to sinks, and goes on when they have room. A sink that is slow or away would keep the
 * whole server from being ready; past `HELD_MS_MAX` from the first wait the start goes on in the background.
 */
export const HELD_MS_MAX = 1000;

export class HeldStart {
  /** Resolves when it has been waited for long enough; never where the start is to be waited for. */
  readonly tooLong: Promise<false>;
  #resolve: (value: false) => void = () => undefined;
  #timer: NodeJS.Timeout | null = null;
  #isWatched: boolean;

  constructor(isWatched: boolean) {
    this.#isWatched = isWatched;
    this.tooLong = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Everything waits for a sink. */
  begin(): void {
    if (this.#isWatched) this.#timer ??= setTimeout(this.#resolve, HELD_MS_MAX, false);
  }

  end(): void {
    this.#isWatched = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
