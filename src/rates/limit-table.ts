// HOT PATH
/**
 * Which budgets a tool's calls count against.
 *
 * Role: patterns are matched once per tool name and remembered; a call then costs one look-up. Names come from the
 * catalogue, so there are not more of them than tools were ever served; beyond `NAMES_MAX` all is matched anew.
 */
import type { RateLimit } from '../config/settings.ts';

export const NAMES_MAX = 10_000;

const NONE: readonly number[] = Object.freeze([]);

export class LimitTable {
  readonly limits: readonly RateLimit[];
  readonly #patterns: readonly RegExp[];
  /** Tool name → places in `limits`. */
  readonly #known = new Map<string, readonly number[]>();

  constructor(limits: readonly RateLimit[]) {
    this.limits = limits;
    this.#patterns = limits.map((limit) => patternOf(limit.tool));
  }

  /** Places in `limits` of those that match. */
  of(tool: string): readonly number[] {
    return this.#known.get(tool) ?? this.#match(tool);
  }

  #match(tool: string): readonly number[] {
    if (this.#known.size >= NAMES_MAX) this.#known.clear();
    const found: number[] = [];
    for (let i = 0; i < this.#patterns.length; i++) {
      if ((this.#patterns[i] as RegExp).test(tool)) found.push(i);
    }
    const places = found.length === 0 ? NONE : found;
    this.#known.set(tool, places);
    return places;
  }
}

/** `*` stands for any characters. Tool names are short, and the pattern is the operator's own. */
function patternOf(text: string): RegExp {
  const parts = text.split(/\*+/).map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}
