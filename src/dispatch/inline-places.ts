/**
 * Places of inline calls on the front-end thread: their bound, as they wait in no queue and take no permit.
 */
export class InlinePlaces {
  readonly #max: number;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get full(): boolean {
    return this.#taken >= this.#max;
  }

  take(): void {
    this.#taken += 1;
  }

  give(): void {
    this.#taken -= 1;
  }
}
