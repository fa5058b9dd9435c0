/**
 * Which tools a node runs itself: those whose name matches its offer and whose required labels it has.
 *
 * Role: compiled once from `cluster.offer` and `cluster.labels`. An empty offer is every tool.
 */

export interface OfferSettings {
  /** Tool names; `*` stands for any characters. */
  readonly offer: readonly string[];
  readonly labels: readonly string[];
}

export class Offer {
  readonly #patterns: readonly RegExp[];
  readonly #labels: ReadonlySet<string>;

  constructor(settings: OfferSettings) {
    this.#patterns = settings.offer.map(patternOf);
    this.#labels = new Set(settings.labels);
  }

  runs(tool: { readonly name: string; readonly requires?: readonly string[] | undefined }): boolean {
    for (const label of tool.requires ?? []) if (!this.#labels.has(label)) return false;
    return this.#patterns.length === 0 || this.#patterns.some((pattern) => pattern.test(tool.name));
  }
}

function patternOf(text: string): RegExp {
  // Rows of stars mean the same as one, and would make the expression try every split.
  const parts = text.split(/\*+/).map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}
