/**
 * Memory of shards as chunks of a checkpoint, and back.
 *
 * Names: `shard/{n}/group/{name of the group}/{buffer}` and `shard/{n}/operator/{stream}/{operator}/{buffer}`: by name
 * and not by number, so that a plan that was changed meanwhile finds what it still understands. Memory says nothing of how
 * it is to be read: the shapes of the operators, saved with it, do.
 */
import { compatibility } from '../define/compatibility.ts';
import type { OperatorPlan, Plan } from '../plan.ts';
import type { MemoryImage } from '../state/memory.ts';
import type { ShardImage } from './task.ts';

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

export function chunksOf(plan: Plan, images: readonly ShardImage[]): Map<string, Uint8Array> {
  const chunks = new Map<string, Uint8Array>();
  const put = (prefix: string, { buffers }: MemoryImage): void => {
    for (let i = 0; i < buffers.length; i++) {
      chunks.set(`${prefix}/${i}`, new Uint8Array(buffers[i] as SharedArrayBuffer));
    }
  };
  for (const { shard, groups, operators } of images) {
    for (let i = 0; i < groups.length; i++) {
      put(`shard/${shard}/group/${groupName(plan, i)}`, groups[i] as MemoryImage);
    }
    for (const operator of plan.operators) {
      put(`shard/${shard}/operator/${operatorName(plan, operator)}`, operators[operator.index] as MemoryImage);
    }
  }
  return chunks;
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
  readonly fresh: (shard: number) => ShardImage;
}

/** Memory from a checkpoint; `watermarks` by stream index. Throws when a chunk is missing. */
export function imagesFrom(
  plan: Plan,
  chunks: ReadonlyMap<string, Uint8Array>,
  watermarks: readonly number[],
  anew: Anew,
): ShardImage[] {
  const take = (prefix: string): MemoryImage => {
    const buffers: SharedArrayBuffer[] = [];
    for (
      let chunk = chunks.get(`${prefix}/0`);
      chunk !== undefined;
      chunk = chunks.get(`${prefix}/${buffers.length}`)
    ) {
      buffers.push(shared(chunk));
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
          ? (fresh.operators[i] as MemoryImage)
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
