/**
 * Batches of streams that are cut into partitions: each partition gets the part with its keys.
 *
 * Role: cuts batches by key in the worker pool and sends the parts. Batches of a stream are handed over in the order they
 * came in, though several are cut at a time.
 * A batch that cannot be cut, or over which the threads that cut it are lost, is kept whole, as a dead letter of the first
 * partition; where no thread can begin, it may be taken later.
 * What several partitions take is not one transaction: a batch that some of them could not take is refused as a whole,
 * and taken by none twice when it comes again under the same batch id.
 */
import { DECODE_TRIES_MAX } from '../engine/pipeline.ts';
import { StreamRefusal } from '../engine/port.ts';
import { mayPass, type SplitResult, type SplitTask, ThreadLost } from '../engine/task.ts';
import type { EngineThreads } from '../engine/threads/pool-threads.ts';
import type { Plan, StreamPlan } from '../plan.ts';
import { copyToShared } from '../shared-copy.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import type { UnitStreams } from './unit-streams.ts';

const RETRY_AFTER_MS = 1000;
/** With the plans that replace one another meanwhile. */
const PLANS_MAX = 3;

/** How a batch is cut; or why it is not, and none can decode it. */
type Cut = SplitResult | { readonly unread: string };

export interface PartitionPorts {
  /** By number. */
  readonly partitions: readonly UnitStreams[];
  readonly splitter: Pick<EngineThreads, 'split'>;
  /** That of `splitter`, too. */
  readonly plan: () => Plan;
}

/** Throws `StreamRefusal` where there is no such stream. */
export function planOf({ plan }: PartitionPorts, stream: string): StreamPlan {
  const { streams } = plan();
  const found = streams.find(({ name }) => name === stream);
  if (found !== undefined) return found;
  const names = streams.map(({ name }) => name);
  throw StreamRefusal.noStream(stream, names);
}

export class PartitionIntake {
  readonly #ports: PartitionPorts;
  /** By stream: settles when the batch before has been handed over. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** By stream: bytes that are being cut, or wait for those before them. */
  readonly #cutting = new Map<string, number>();

  constructor(ports: PartitionPorts) {
    this.#ports = ports;
  }

  async accept(stream: string, source: string, batch: IncomingBatch): Promise<Accepted> {
    const plan = planOf(this.#ports, stream);
    const bytes = this.#admit(plan, batch);
    const split = this.#split(plan, batch);
    const before = this.#turns.get(stream);
    let sent: Promise<Accepted> | null = null;
    const turn = Promise.allSettled([before, split]).then(async () => {
      this.#cutting.set(stream, (this.#cutting.get(stream) as number) - bytes);
      // What it comes to is awaited outside of the turn.
      sent = this.#send(stream, source, batch, await split);
      sent.catch(() => undefined);
    });
    this.#turns.set(
      stream,
      turn.catch(() => undefined),
    );
    await turn;
    return sent as unknown as Promise<Accepted>;
  }

  /** Throws when too much waits to be cut. */
  #admit({ name, pendingBytesMax }: StreamPlan, { body: { byteLength: bytes } }: IncomingBatch): number {
    const cutting = this.#cutting.get(name) ?? 0;
    if (cutting > 0 && cutting + bytes > pendingBytesMax) {
      const text = `${cutting} bytes of stream ${name} wait to be cut by key; at most ${pendingBytesMax}`;
      throw new StreamRefusal('pending', text, RETRY_AFTER_MS);
    }
    this.#cutting.set(name, cutting + bytes);
    return bytes;
  }

  async #split({ index }: StreamPlan, { body, format }: Pick<IncomingBatch, 'body' | 'format'>): Promise<Cut> {
    const bytes = body.byteLength;
    const shared = new SharedArrayBuffer(Math.max(1, bytes));
    copyToShared(body, new Uint8Array(shared), 0);
    return this.#cut({ kind: 'split', stream: index, format, body: shared, bodyBytes: bytes });
  }

  /** Again where the thread was lost, or knows only the plan that has replaced this one: cutting has no effects. */
  async #cut(task: Omit<SplitTask, 'epoch'>): Promise<Cut> {
    const { plan, splitter } = this.#ports;
    let failures = 0;
    for (let plans = 1; ; ) {
      const { epoch } = plan();
      try {
        return await splitter.split({ ...task, epoch });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const isLost = error instanceof ThreadLost;
        if (isLost || (!mayPass(error) && plan().epoch === epoch)) {
          failures += 1;
          if (failures < DECODE_TRIES_MAX) continue;
          const threads = `${failures} threads in a row were lost over cutting it by key`;
          return { unread: `${isLost ? threads : 'it cannot be cut by key'}: ${reason}` };
        }
        if (plan().epoch !== epoch && plans < PLANS_MAX) {
          plans += 1;
          continue;
        }
        throw new StreamRefusal('unavailable', `the batch could not be cut by key: ${reason}`, RETRY_AFTER_MS);
      }
    }
  }

  async #send(stream: string, source: string, batch: IncomingBatch, cut: Cut): Promise<Accepted> {
    if ('unread' in cut) return this.#unit(0).accept(stream, source, batch, cut.unread);
    const { format, only, parts } = cut;
    if (only >= 0) return this.#unit(only).accept(stream, source, batch);
    const outcomes = await Promise.allSettled(
      parts.flatMap((body, i) =>
        body === null ? [] : this.#unit(i).accept(stream, source, { ...batch, format, body }),
      ),
    );
    const sum = { accepted: 0, rejected: 0, late: 0 };
    const failures: unknown[] = [];
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        failures.push(outcome.reason);
        continue;
      }
      sum.accepted += outcome.value.accepted;
      sum.rejected += outcome.value.rejected;
      sum.late += outcome.value.late;
    }
    if (failures.length === 0) return sum;
    const taken = `${outcomes.length - failures.length} of ${outcomes.length} partitions have taken their part`;
    // What is kept as a dead letter is so whatever is sent again: others say whether that is to be.
    const first = failures.find((each) => !(each instanceof StreamRefusal && each.isKept)) ?? failures[0];
    if (first instanceof StreamRefusal && first.isKept) {
      const kept = failures.map((each) => (each as StreamRefusal).message).join('; ');
      throw new StreamRefusal(first.refusal, failures.length === outcomes.length ? kept : `${kept} (${taken})`);
    }
    if (failures.length === outcomes.length || !(first instanceof StreamRefusal)) throw first;
    const advice = batch.batchId === '' ? 'a batch id would make sending it again safe' : 'send it again under its id';
    throw new StreamRefusal(first.refusal, `${first.message} (${taken}; ${advice})`, first.retryAfterMs);
  }

  #unit(partition: number): UnitStreams {
    return this.#ports.partitions[partition] as UnitStreams;
  }
}
