/**
 * What of a shard is sent to a thread and back: only what the other side does not have.
 *
 * Role: between `PoolThreads` and the messages. A thread keeps the shards it worked on last. While no other thread
 * works on one, the next task only names it, and the answer names the memory that has not changed. Each buffer that is
 * sent costs both threads a microsecond, and their collectors an object that counts as much as the memory behind it:
 * for small state in eight shards that is more than the events of a batch cost.
 * Invariant: the engine sees what it would see if everything was sent each time. A thread that has not kept what it is
 * supposed to have says so before it begins, and is sent all of it.
 */
import { isImage } from '../spill/spill-file.ts';
import type { ApplyResult, ApplyTask, HeldShard, KeptShard, LeftShard, SentShard, ShardReport } from '../task.ts';

const NOBODY = -1;

/** A thread, and what it had of a shard when its last task ended. */
interface Keeper {
  readonly threadId: number;
  readonly incarnation: number;
  readonly version: number;
}

export class KeptShards {
  /** By shard. */
  readonly #keepers = new Map<number, Keeper>();

  /** The thread that has the first of the task's shards; −1 for none. */
  keeperOf({ shards }: ApplyTask): number {
    const first = shards[0];
    return first === undefined ? NOBODY : this.#keeperOf(first);
  }

  #keeperOf({ incarnation, shard, version }: HeldShard): number {
    const keeper = this.#keepers.get(shard);
    const isSame = keeper !== undefined && keeper.incarnation === incarnation && keeper.version === version;
    return isSame ? keeper.threadId : NOBODY;
  }

  /** The task as it goes to a thread. */
  forThread(task: ApplyTask, threadId: number): ApplyTask<SentShard> {
    const shards = task.shards.map((held) => (this.#keeperOf(held) === threadId ? keptOf(held) : held));
    return { ...task, shards };
  }

  /** What the thread answered, with all memory. */
  whole(task: ApplyTask, threadId: number, result: ApplyResult<LeftShard>): ApplyResult {
    const shards = result.shards.map((report, i): ShardReport => {
      const image = wholeOf(report.image, task.shards[i] as HeldShard);
      const { incarnation, shard, version } = image;
      if (isImage(image)) this.#keepers.set(shard, { threadId, incarnation, version });
      else this.#keepers.delete(shard);
      return { ...report, image };
    });
    return { ...result, shards };
  }

  /** A thread that has ended, or has let go of what it kept. */
  forget(threadId: number): void {
    for (const [shard, keeper] of this.#keepers) if (keeper.threadId === threadId) this.#keepers.delete(shard);
  }
}

export const isKept = (sent: SentShard): sent is KeptShard => 'generations' in sent;

function keptOf({ groups, incarnation, operators, shard, version }: HeldShard): KeptShard {
  return { shard, incarnation, version, generations: [...groups, ...operators].map(({ generation }) => generation) };
}

function wholeOf(left: LeftShard, sent: HeldShard): HeldShard {
  const memoryOf = <T>(memory: T | null, before: T | undefined): T => {
    const known = memory ?? before;
    if (known === undefined || known === null) throw new Error(`shard ${left.shard} came back without its memory`);
    return known;
  };
  return {
    ...left,
    groups: left.groups.map((memory, group) => memoryOf(memory, sent.groups[group])),
    operators: left.operators.map((memory, operator) => memoryOf(memory, sent.operators[operator])),
  };
}

/** On the thread: what goes back of a task's result. */
export function leftOf(task: ApplyTask<SentShard>, result: ApplyResult): ApplyResult<LeftShard> {
  const shards = result.shards.map((report, i) => {
    const generations = generationsOf(task.shards[i] as SentShard);
    return generations === null ? report : { ...report, image: without(report.image, generations) };
  });
  return { ...result, shards };
}

/** Null: not all of it was in memory. */
function generationsOf(sent: SentShard): readonly number[] | null {
  if (isKept(sent)) return sent.generations;
  return isImage(sent) ? keptOf(sent).generations : null;
}

function without(image: HeldShard, generations: readonly number[]): LeftShard {
  if (!isImage(image)) return image;
  const { groups, operators } = image;
  const changed = <T extends { readonly generation: number }>(memory: T, at: number): T | null =>
    memory.generation === generations[at] ? null : memory;
  return {
    ...image,
    groups: groups.map((memory, group) => changed(memory, group)),
    operators: operators.map((memory, operator) => changed(memory, groups.length + operator)),
  };
}
