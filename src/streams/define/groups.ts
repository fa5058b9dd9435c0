/**
 * Key groups of a plan under construction: operators with the same inputs and key fields get the same one.
 *
 * Role: a group is a key table per shard and a hash column per batch, so sharing it saves both for every further
 * operator.
 */
import type { FieldPlan, GroupPlan, StreamPlan } from '../plan.ts';

export class Groups {
  readonly all: GroupPlan[] = [];
  readonly #known = new Map<string, number>();

  /** Index of the group. `keyFields`: those that name the members of the key. */
  of(inputs: readonly { readonly stream: StreamPlan; readonly fields: readonly number[] }[]): number {
    const plain = inputs.map(({ stream, fields }) => ({ stream: stream.index, fields }));
    const id = JSON.stringify(plain);
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const index = this.all.length;
    const [first] = inputs;
    const keyNames = first === undefined ? [] : namesOf(first.fields, first.stream.fields);
    this.all.push({ index, inputs: plain, keyNames });
    this.#known.set(id, index);
    return index;
  }
}

function namesOf(indexes: readonly number[], fields: readonly FieldPlan[]): string[] {
  return indexes.map((index) => fields[index]?.name ?? '');
}
