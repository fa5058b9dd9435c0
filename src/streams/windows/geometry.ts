/**
 * Where windows and slices lie in time: arithmetic only.
 *
 * Role: windows that overlap share slices, the pieces between any two neighbouring window bounds. An event belongs to
 * one slice, a window is a run of slices, so an event costs one update however many windows it counts in.
 * Slices are the pieces ("pairs") that the slide is cut into by window ends: one when the slide divides the size, else
 * two; never shorter than gcd(size, slide) and mostly much longer.
 *   size 25, slide 10:  |--5--|--5--|--5--|--5--| …    window 0 = slices 0…4, window 1 = slices 2…6
 *   size  4, slide 10:  |-4-|---6---|-4-|---6---| …    window 0 = slice 0; slice 1 is in no window
 * Windows are numbered by their start (cumulating ones by their end), slices by theirs; both numbers rise with time and
 * may be negative. Bounds are [start, end). All times are ms and may have fractions.
 * Lateness: a window fires when the watermark is at least end − 1, and its content is kept until the watermark is at
 * least end − 1 + allowed lateness; an event is late when that is so for all windows it belongs to.
 */
export interface GeometryPlan {
  readonly type: string;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}

export class WindowGeometry {
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
  /** Slices of the longest window. */
  readonly slicesMax: number;
  readonly #cumulating: boolean;
  /** Length of the first slice of a slide when there are two; 0 when there is one. */
  readonly #restMs: number;
  readonly #perSlide: 1 | 2;

  constructor({ type, sizeMs, slideMs, offsetMs }: GeometryPlan) {
    this.#cumulating = type === 'cumulating';
    this.sizeMs = sizeMs;
    this.slideMs = type === 'tumbling' ? sizeMs : slideMs;
    this.offsetMs = offsetMs;
    this.#restMs = this.#cumulating ? 0 : sizeMs % this.slideMs;
    this.#perSlide = this.#restMs === 0 ? 1 : 2;
    const whole = Math.floor(sizeMs / this.slideMs);
    this.slicesMax = this.#restMs === 0 ? whole : 2 * whole + 1;
  }

  /** Windows do not overlap and have one slice each: numbers of slices and windows need not be the same. */
  get single(): boolean {
    return this.slicesMax === 1;
  }

  sliceOf(ts: number): number {
    const time = ts - this.offsetMs;
    let slide = Math.floor(time / this.slideMs);
    // The quotient is rounded: it can reach the next whole number where the time does not.
    if (slide * this.slideMs > time) slide -= 1;
    else if ((slide + 1) * this.slideMs <= time) slide += 1;
    if (this.#perSlide === 1) return slide;
    return 2 * slide + (time - slide * this.slideMs >= this.#restMs ? 1 : 0);
  }

  sliceStart(slice: number): number {
    if (this.#perSlide === 1) return slice * this.slideMs + this.offsetMs;
    const slide = Math.floor(slice / 2);
    return slide * this.slideMs + (slice === 2 * slide ? 0 : this.#restMs) + this.offsetMs;
  }

  sliceEnd(slice: number): number {
    return this.sliceStart(slice + 1);
  }

  /** First window the slice belongs to; it belongs to none when the last one is before it. */
  firstWindow(slice: number): number {
    if (this.#cumulating) return slice;
    const slide = Math.floor(slice / this.#perSlide);
    const back = Math.floor(this.sizeMs / this.slideMs);
    if (this.#perSlide === 1) return slide - back + 1;
    return slice === 2 * slide ? slide - back : slide - back + 1;
  }

  lastWindow(slice: number): number {
    if (this.#cumulating) return (Math.floor(slice / this.slicesMax) + 1) * this.slicesMax - 1;
    return Math.floor(slice / this.#perSlide);
  }

  /** First slice of a window. */
  windowSlice(window: number): number {
    return this.#cumulating ? Math.floor(window / this.slicesMax) * this.slicesMax : window * this.#perSlide;
  }

  /** The slice after a window's last one. */
  windowSlicesEnd(window: number): number {
    return this.#cumulating ? window + 1 : window * this.#perSlide + this.slicesMax;
  }

  windowStart(window: number): number {
    return this.sliceStart(this.windowSlice(window));
  }

  windowEnd(window: number): number {
    if (this.#cumulating) return (window + 1) * this.slideMs + this.offsetMs;
    return window * this.slideMs + this.sizeMs + this.offsetMs;
  }

  /** The last window whose end is at or before `until`. */
  lastEndedBy(until: number): number {
    if (!Number.isFinite(until)) return until;
    let window = Math.floor((until - this.offsetMs - (this.#cumulating ? this.slideMs : this.sizeMs)) / this.slideMs);
    if (this.windowEnd(window) > until) window -= 1;
    else if (this.windowEnd(window + 1) <= until) window += 1;
    return window;
  }

  /** The last window that has fired. */
  lastFired(watermark: number): number {
    return this.lastEndedBy(watermark + 1);
  }

  /** The last window whose content nobody can change any more. */
  lastExpired(watermark: number, allowedLatenessMs: number): number {
    return this.lastEndedBy(watermark + 1 - allowedLatenessMs);
  }
}
