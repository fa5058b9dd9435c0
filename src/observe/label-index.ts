/**
 * A bounded numbering of label values: each new value gets the next number until the bound, everything later shares
 * number 0, `other`. So no client and no tool folder can make the metrics grow without end.
 */
export const OTHER = 'other';

export class LabelIndex {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [OTHER];
  readonly #max: number;

  /** `max` counts `other` in. */
  constructor(max: number, known: readonly string[] = []) {
    this.#max = max;
    for (const name of known) this.numberOf(name);
  }

  /** Adds the value if there is room. */
  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (name === OTHER || this.#names.length >= this.#max) return 0;
    const number = this.#names.length;
    this.#names.push(name);
    this.#numbers.set(name, number);
    return number;
  }

  nameOf(number: number): string {
    return this.#names[number] ?? OTHER;
  }

  get size(): number {
    return this.#names.length;
  }
}
