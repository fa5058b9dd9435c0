// HOT PATH
/**
 * Frames of one stream that wait until their events are stored, oldest first.
 *
 *   frames  f0 f1 f2 …
 *   places  p0 p1 p2 …      rising: f is written once the log has come to its place
 *
 * Role: between the event log and the connection (`session-stream.ts`). Bounded by whoever adds, who sees `chars`.
 */
export class HeldFrames {
  /** Characters held. */
  chars = 0;
  #frames: string[] = [];
  #places: number[] = [];

  get empty(): boolean {
    return this.#frames.length === 0;
  }

  add(frame: string, place: number): void {
    this.#frames.push(frame);
    this.#places.push(place);
    this.chars += frame.length;
  }

  /** Goes with the last one. Only while it is not empty. */
  addToLast(frame: string): void {
    const last = this.#frames.length - 1;
    this.#frames[last] += frame;
    this.chars += frame.length;
  }

  /** Takes what waits for `place` or less out, as one text. */
  take(place: number): string {
    let count = 0;
    let text = '';
    while (count < this.#frames.length && (this.#places[count] as number) <= place) text += this.#frames[count++];
    if (count === this.#frames.length) {
      this.clear();
      return text;
    }
    this.#frames.splice(0, count);
    this.#places.splice(0, count);
    this.chars -= text.length;
    return text;
  }

  clear(): void {
    this.chars = 0;
    if (this.#frames.length === 0) return;
    this.#frames = [];
    this.#places = [];
  }
}
