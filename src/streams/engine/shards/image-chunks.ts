/**
 * Memory of shards as chunks of a checkpoint, and back.
 *
 * Names: `shard/{n}/group/{name of the group}/{buffer}` and `shard/{n}/operator/{stream}/{operator}/{buffer}`: by name
 * and not by number, so that a plan that was changed meanwhile finds what it still understands. Memory says nothing of how
 * it is to be read: the shapes of the operators, saved with it, do.
 */
import { compatibility } from '../../define/compatibility.ts';
import type { OperatorPlan, Plan } from '../../plan.ts';
import { isInMemory, loadBuffer } from '../spill/spill-file.ts';
import type { HeldMemory, HeldShard, StoredBuffer } from '../task.ts';

/** The same inputs and fields make the same group, whatever its number. */
export function groupName(plan: Plan, group: number): string {
  const { inputs } = plan.groups[group] as Plan['groups'][number];
  const parts = inputs.map(({ stream, fields }) => {
    const of = plan.streams[stream] as Plan['streams'][number];
    return `${of.name}(${fields.map((field) => `${of.fields[field]?.name}:${of.fields[field]?.type}`).join(',')})`;
  });
  return parts.join('+');
}

export function operatorName(plan: Plan, { stream, name }: OperatorPlan): string {
  return `${plan.streams[stream]?.name}/${name}`;
}

export const isOfShard = (name: string): boolean => name.startsWith('shard/');

type Chunk = readonly [name: string, bytes: Uint8Array];

/** One at a time: what is on disk is read when its turn comes. Throws when it is damaged. */
export function* chunksOf(plan: Plan, shards: readonly HeldShard[]): Generator<Chunk> {
  for (const { shard, groups, operators } of shards) {
    for (let i = 0; i < groups.length; i++) {
      yield* chunksIn(`shard/${shard}/group/${groupName(plan, i)}`, groups[i] as HeldMemory);
    }
    for (const operator of plan.operators) {
      yield* chunksIn(
        `shard/${shard}/operator/${operatorName(plan, operator)}`,
        operators[operator.index] as HeldMemory,
      );
    }
  }
}

function* chunksIn(prefix: string, { buffers }: HeldMemory): Generator<Chunk> {
  for (const [i, buffer] of buffers.entries()) {
    yield [`${prefix}/${i}`, new Uint8Array(isInMemory(buffer) ? buffer : loadBuffer(buffer))];
  }
}

export const shapesOf = (plan: Plan): Record<string, string> =>
  Object.fromEntries(plan.operators.map((operator) => [operatorName(plan, operator), operator.stateShape]));

/**
 * Groups whose memory in a checkpoint this version does not understand, and why: as a whole, since its key table counts
 * the keys that its operators hold. `shapes`: as they were saved.
 */
export function groupsAnew(plan: Plan, shapes: Readonly<Record<string, string>>): Map<number, string> {
  const saved = plan.operators.map((operator) => ({
    ...operator,
    stateShape: shapes[operatorName(plan, operator)] ?? '{}',
  }));
  const verdicts = compatibility({ ...plan, operators: saved }, plan);
  const anew = new Map<number, string>();
  for (const [i, { kept, operator, why }] of verdicts.entries()) {
    if (!kept) anew.set((plan.operators[i] as OperatorPlan).group, `${operator}: ${why}`);
  }
  return anew;
}

/** What of the memory is not taken from the checkpoint. */
export interface Anew {
  readonly groups: ReadonlyMap<number, string>;
  readonly fresh: (shard: number) => HeldShard;
}

/** Shards from a checkpoint, of which parts may be in files; `watermarks` by stream index. Throws when a chunk is missing. */
export function imagesFrom(
  plan: Plan,
  chunkOf: (name: string) => Uint8Array | StoredBuffer | undefined,
  watermarks: readonly number[],
  anew: Anew,
): HeldShard[] {
  const take = (prefix: string): HeldMemory => {
    const buffers: (SharedArrayBuffer | StoredBuffer)[] = [];
    for (let chunk = chunkOf(`${prefix}/0`); chunk !== undefined; chunk = chunkOf(`${prefix}/${buffers.length}`)) {
      buffers.push(chunk instanceof Uint8Array ? shared(chunk) : chunk);
    }
    if (buffers.length === 0) throw new Error(`the checkpoint has no ${prefix}`);
    return { generation: 1, buffers };
  };
  return Array.from({ length: plan.shards }, (_, shard) => {
    const fresh = anew.fresh(shard);
    const isAnew = (group: number): boolean => anew.groups.has(group);
    return {
      ...fresh,
      groups: fresh.groups.map((image, group) =>
        isAnew(group) ? image : take(`shard/${shard}/group/${groupName(plan, group)}`),
      ),
      operators: plan.operators.map((operator, i) =>
        isAnew(operator.group)
          ? (fresh.operators[i] as HeldMemory)
          : take(`shard/${shard}/operator/${operatorName(plan, operator)}`),
      ),
      watermarks,
    };
  });
}

export function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.byteLength);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
