/**
 * JSON texts of keys, kept on the heap.
 *
 * Role: a key's text is asked for with each of its results and is always the same. A text belongs to a generation of its
 * id: when the id is given to another key, the generation in shared memory has grown and the text is made anew.
 */
import type { KeyMember } from './key-bytes.ts';

/** Texts kept, for ids below it. */
export const KEY_TEXTS_KEPT_MAX = 131_072;

export class KeyTexts {
  readonly #names: readonly string[];
  readonly #texts: string[] = [];
  readonly #generations: number[] = [];

  /** Names of a key's members. */
  constructor(names: readonly string[]) {
    this.#names = names.map((name) => JSON.stringify(name));
  }

  kept(keyId: number, generation: number): string | undefined {
    return this.#generations[keyId] === generation ? this.#texts[keyId] : undefined;
  }

  keep(keyId: number, generation: number, members: readonly KeyMember[]): string {
    let text = '{';
    for (let i = 0; i < members.length; i++) {
      text += `${i === 0 ? '' : ','}${this.#names[i] ?? `"${i}"`}:${JSON.stringify(members[i])}`;
    }
    text += '}';
    if (keyId < KEY_TEXTS_KEPT_MAX) {
      this.#texts[keyId] = text;
      this.#generations[keyId] = generation;
    }
    return text;
  }
}
