/**
 * JSON texts of keys: what stands around those of one member, and whole texts of others, kept on the heap.
 *
 * Role: a key's text is written with each of its results and is always the same. One string or number is written from the
 * table's bytes, between two pieces; of the others texts are kept. A text belongs to a generation of its id: when the id
 * is given to another key, the generation in shared memory has grown and the text is made anew.
 */
import type { LineBuffer } from '../lines/line-buffer.ts';
import { type LinePiece, pieceOf } from '../lines/line-piece.ts';
import type { KeyMember } from './key-bytes.ts';

/** Texts kept, for ids below it. */
export const KEY_TEXTS_KEPT_MAX = 131_072;

/** What stands before and behind the only member of a key. */
interface Around {
  readonly before: LinePiece;
  readonly behind: LinePiece;
}

const QUOTED_END: LinePiece = pieceOf('\\"}');
const STRING_END: LinePiece = pieceOf('"}');
const NUMBER_END: LinePiece = pieceOf('}');

export class KeyTexts {
  /** Of a string, of a number; and the same within a JSON string. */
  readonly #string: Around;
  readonly #number: Around;
  readonly #quotedString: Around;
  readonly #quotedNumber: Around;
  readonly #names: readonly string[];
  readonly #texts: string[] = [];
  readonly #generations: number[] = [];

  /** Names of a key's members. */
  constructor(names: readonly string[]) {
    this.#names = names.map((name) => JSON.stringify(name));
    const head = `{${this.#names[0] ?? '"0"'}:`;
    const quotedHead = JSON.stringify(head).slice(1, -1);
    this.#string = { before: pieceOf(`${head}"`), behind: STRING_END };
    this.#number = { before: pieceOf(head), behind: NUMBER_END };
    this.#quotedString = { before: pieceOf(`${quotedHead}\\"`), behind: QUOTED_END };
    this.#quotedNumber = { before: pieceOf(quotedHead), behind: NUMBER_END };
  }

  /** A key that is one string, from its bytes; false, with nothing written, when those are not as JSON has them. */
  writeString(from: DataView, at: number, length: number, quoted: boolean, out: LineBuffer): boolean {
    const { before, behind } = quoted ? this.#quotedString : this.#string;
    const begin = out.at;
    out.piece(before);
    if (!out.plain(from, at, length)) {
      out.at = begin;
      return false;
    }
    out.piece(behind);
    return true;
  }

  writeNumber(value: number, quoted: boolean, out: LineBuffer): void {
    const { before, behind } = quoted ? this.#quotedNumber : this.#number;
    out.piece(before);
    out.number(value);
    out.piece(behind);
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
