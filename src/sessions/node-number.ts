/**
 * The number of one start of one node, and the ids made of it.
 *
 *   stream id = | node number, 30 bits | counter, 22 bits |      below 2^53
 *
 * Role: what a node gives out without asking anybody (streams, questions) is never given out by another node, and says
 * which node to turn to. The number is random: of 1,000 starts while a session lives, two are alike with a
 * probability of 5 in 10,000, and would have to serve the same session at the same count. The counter begins anew after
 * four million streams of one node, far more than any session's log holds.
 */
import { randomBytes } from 'node:crypto';

const COUNTER_SPAN = 2 ** 22;

export class NodeNumber {
  /** Digits and lower-case letters. */
  readonly tag: string;
  readonly #base: number;
  #count = 0;

  /** `number`: 1 to 2^30 - 1. */
  constructor(number: number) {
    this.tag = number.toString(36);
    this.#base = number * COUNTER_SPAN;
  }

  static random(): NodeNumber {
    return new NodeNumber(randomBytes(4).readUInt32BE() >>> 2 || 1);
  }

  newStream(): number {
    this.#count = (this.#count + 1) % COUNTER_SPAN;
    return this.#base + this.#count;
  }
}

/** Tag of the node that gave out the id. */
export function ownerOf(streamId: number): string {
  return Math.floor(streamId / COUNTER_SPAN).toString(36);
}
