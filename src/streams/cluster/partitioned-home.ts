/**
 * Streams that are cut into partitions, each a unit of its own somewhere: one home made of many.
 *
 * Role: cuts batches by key in the worker pool and sends each partition its part; puts together what all are asked for,
 * and asks one alone where a key or an id says which. Batches of a stream are handed over in the order they came in,
 * though several are cut at a time.
 * Ids of events and dead letters are a log's own; here they carry the number of their partition (`2/33:1`).
 * What several partitions take is not one transaction: a batch that some of them could not take is refused as a whole,
 * and taken by none twice when it comes again under the same batch id.
 */
import { type KeyValue, partitionOf } from '../decode/key-hash.ts';
import type { EngineThreads } from '../engine/pool-threads.ts';
import {
  type AlertFilter,
  type DeadLetterFacts,
  type DefineOutcome,
  type RaisedAlert,
  type ResultLine,
  StreamRefusal,
  type WindowAnswer,
  type WindowQuery,
} from '../engine/port.ts';
import { QUERY_ROWS_MAX } from '../engine/service.ts';
import { type SplitResult, type SplitTask, ThreadLost } from '../engine/task.ts';
import type { Plan, StreamPlan } from '../plan.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import type { StreamHome, UnitHome } from './unit-home.ts';

const RETRY_AFTER_MS = 1000;
const SPLIT_TRIES_MAX = 3;

export interface PartitionedPorts {
  /** By partition. */
  readonly homes: readonly UnitHome[];
  readonly splitter: Pick<EngineThreads, 'split'>;
  /** That of `splitter`, too. */
  readonly plan: () => Plan;
}

export class PartitionedHome implements StreamHome {
  readonly #ports: PartitionedPorts;
  /** By stream: settles when the batch before has been handed over. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** By stream: bytes that are being cut, or wait for those before them. */
  readonly #cutting = new Map<string, number>();

  constructor(ports: PartitionedPorts) {
    this.#ports = ports;
  }

  get #homes(): readonly UnitHome[] {
    return this.#ports.homes;
  }

  async accept(stream: string, source: string, batch: IncomingBatch): Promise<Accepted> {
    const plan = this.#planOf(stream);
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

  async #split({ index }: StreamPlan, { body, format }: Pick<IncomingBatch, 'body' | 'format'>): Promise<SplitResult> {
    const bytes = body.byteLength;
    const shared = new SharedArrayBuffer(Math.max(1, bytes));
    new Uint8Array(shared).set(body);
    return this.#cut({ kind: 'split', stream: index, format, body: shared, bodyBytes: bytes });
  }

  /** Again where the thread was lost, or knows only the plan that has replaced this one: cutting has no effects. */
  async #cut(task: Omit<SplitTask, 'epoch'>): Promise<SplitResult> {
    const { plan, splitter } = this.#ports;
    for (let tries = 1; ; tries++) {
      const { epoch } = plan();
      try {
        return await splitter.split({ ...task, epoch });
      } catch (error) {
        const again = error instanceof ThreadLost || plan().epoch !== epoch;
        if (again && tries < SPLIT_TRIES_MAX) continue;
        const reason = error instanceof Error ? error.message : String(error);
        throw new StreamRefusal('unavailable', `the batch could not be cut by key: ${reason}`, RETRY_AFTER_MS);
      }
    }
  }

  async #send(stream: string, source: string, batch: IncomingBatch, split: SplitResult): Promise<Accepted> {
    const { format, only, parts } = split;
    if (only >= 0) return this.#home(only).accept(stream, source, batch);
    const outcomes = await Promise.allSettled(
      parts.flatMap((body, i) =>
        body === null ? [] : this.#home(i).accept(stream, source, { ...batch, format, body }),
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
    const [first] = failures;
    if (failures.length === outcomes.length || !(first instanceof StreamRefusal)) throw first;
    const taken = `${outcomes.length - failures.length} of ${outcomes.length} partitions have taken their part`;
    const advice = batch.batchId === '' ? 'a batch id would make sending it again safe' : 'send it again under its id';
    throw new StreamRefusal(first.refusal, `${first.message} (${taken}; ${advice})`, first.retryAfterMs);
  }

  async query(query: WindowQuery): Promise<WindowAnswer> {
    const known = this.#partitionOf(query);
    if (known !== null) return tagged(await this.#home(known).query(query), known);
    const parts =
      query.include === 'all' && query.by === '' ? (['open', 'closed'] as const) : ([query.include] as const);
    // One after the other: what closes meanwhile is in one of them at least. That it is in both, its id tells.
    const answers: WindowAnswer[] = [];
    for (const include of parts) answers.push(await this.#queryAll({ ...query, include }));
    const closed = new Set(answers.length > 1 ? answers.at(-1)?.rows.map(({ id }) => id) : []);
    const rows = answers.flatMap((answer, i) =>
      i === answers.length - 1 ? answer.rows : answer.rows.filter(({ id }) => !closed.has(id)),
    );
    const limit = Math.min(query.limit, QUERY_ROWS_MAX);
    return {
      rows: rows.slice(0, limit),
      watermark: earliest(answers.map(({ watermark }) => watermark)),
      ...truncationOf(answers, rows.length > limit),
    };
  }

  async #queryAll(query: WindowQuery): Promise<WindowAnswer> {
    const answers = await Promise.all(this.#homes.map(async (home, i) => tagged(await home.query(query), i)));
    const order = query.by === '' ? endOf : (line: ResultLine) => numberIn(line, query.by);
    return {
      rows: answers.flatMap(({ rows }) => rows).sort((a, b) => order(b) - order(a) || 0),
      watermark: earliest(answers.map(({ watermark }) => watermark)),
      ...truncationOf(answers, false),
    };
  }

  /** Null: it is not of one key. */
  #partitionOf({ key, stream }: WindowQuery): number | null {
    if (key === null) return null;
    const { fields, key: indexes, partitions } = this.#planOf(stream);
    const values = indexes.map((index) => key[fields[index]?.name ?? '']);
    return values.includes(undefined) ? null : partitionOf(values as KeyValue[], partitions);
  }

  async alerts(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    const all = await Promise.all(this.#homes.map(async (home, i) => taggedAlerts(await home.alerts(filter), i)));
    return newestFirst(all.flat(), filter.limit);
  }

  async alertsIfThere(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    const all = await Promise.all(
      this.#homes.map(async (home, i) => taggedAlerts(await home.alertsIfThere(filter), i)),
    );
    return all.flat();
  }

  /** One after the other: what the first refuses, no other is asked. Defining the same again changes nothing. */
  async define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    let outcome: DefineOutcome = { operators: [] };
    for (const [i, home] of this.#homes.entries()) {
      try {
        outcome = await home.define(stream, kind, definition);
      } catch (error) {
        if (i === 0 || !(error instanceof StreamRefusal)) throw error;
        const text = `in force in partitions 0 to ${i - 1}; partition ${i}: ${error.message}; define it again`;
        throw new StreamRefusal(error.refusal, text, error.retryAfterMs);
      }
    }
    return outcome;
  }

  async events(
    stream: string,
    ids: readonly string[],
  ): Promise<readonly { readonly id: string; readonly text: string }[]> {
    const found = await Promise.all(
      [...this.#byPartition(ids)].map(async ([partition, its]) => {
        const events = await this.#home(partition).events(stream, its);
        return events.map(({ id, text }) => ({ id: idIn(partition, id), text }));
      }),
    );
    return found.flat();
  }

  /** Partition by partition, each oldest first. */
  async deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    const [first, afterId] = after === '' ? [0, ''] : this.#placeOf(after);
    const letters: DeadLetterFacts[] = [];
    for (let partition = first; partition < this.#homes.length && letters.length < limit; partition++) {
      const from = partition === first ? afterId : '';
      const page = await this.#home(partition).deadLetters(stream, from, limit - letters.length);
      for (const letter of page) letters.push({ ...letter, id: idIn(partition, letter.id) });
    }
    return letters;
  }

  async replayDeadLetters(stream: string, ids: readonly string[]): Promise<Accepted> {
    const sum = { accepted: 0, rejected: 0, late: 0 };
    for (const [partition, its] of this.#byPartition(ids)) {
      const { accepted, late, rejected } = await this.#home(partition).replayDeadLetters(stream, its);
      sum.accepted += accepted;
      sum.rejected += rejected;
      sum.late += late;
    }
    return sum;
  }

  async dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    let dropped = 0;
    for (const [partition, its] of this.#byPartition(ids)) {
      dropped += await this.#home(partition).dropDeadLetters(stream, its);
    }
    return dropped;
  }

  #byPartition(ids: readonly string[]): Map<number, string[]> {
    const found = new Map<number, string[]>();
    for (const each of ids) {
      const [partition, id] = this.#placeOf(each);
      found.set(partition, [...(found.get(partition) ?? []), id]);
    }
    return found;
  }

  #placeOf(id: string): readonly [number, string] {
    const [, partition, rest] = /^(\d{1,2})\/(.+)$/.exec(id) ?? [];
    if (rest !== undefined && Number(partition) < this.#homes.length) return [Number(partition), rest];
    const shown = JSON.stringify(id.slice(0, 64));
    throw new StreamRefusal('invalid', `${shown} is not an id of a stream with partitions, expected one like "0/12:3"`);
  }

  #home(partition: number): UnitHome {
    return this.#homes[partition] as UnitHome;
  }

  #planOf(stream: string): StreamPlan {
    const found = this.#ports.plan().streams.find(({ name }) => name === stream);
    if (found === undefined)
      throw new StreamRefusal('unknown', `no stream named ${JSON.stringify(stream.slice(0, 64))}`);
    return found;
  }
}

const idIn = (partition: number, id: string): string => `${partition}/${id}`;

function truncationOf(
  answers: readonly WindowAnswer[],
  byLimit: boolean,
): Pick<WindowAnswer, 'truncated' | 'truncatedBy'> {
  const found = new Set(answers.flatMap(({ truncatedBy }) => truncatedBy));
  if (byLimit) found.add('limit');
  return { truncated: found.size > 0, truncatedBy: [...found].toSorted() };
}

function tagged({ rows, ...rest }: WindowAnswer, partition: number): WindowAnswer {
  return { ...rest, rows: rows.map((line) => taggedLine(line, partition)) };
}

const taggedAlerts = (alerts: readonly RaisedAlert[], partition: number): RaisedAlert[] =>
  alerts.map((alert) => ({ ...alert, result: taggedLine(alert.result, partition) }));

function taggedLine(line: ResultLine, partition: number): ResultLine {
  const { context } = line;
  if (context === undefined) return line;
  return { ...line, context: { ...context, events: context.events.map((id) => idIn(partition, id)) } };
}

export const newestFirst = (alerts: readonly RaisedAlert[], limit: number): RaisedAlert[] =>
  alerts.toSorted((a, b) => b.atMs - a.atMs).slice(0, limit);

const endOf = ({ end }: ResultLine): number => end ?? Number.MAX_VALUE;

function numberIn({ values }: ResultLine, by: string): number {
  const value = values[by];
  return typeof value === 'number' ? value : -Number.MAX_VALUE;
}

/** Of all partitions: that of the one that is furthest behind. */
export function earliest(watermarks: readonly (number | null)[]): number | null {
  const known = watermarks.filter((each) => each !== null);
  return known.length === 0 ? null : Math.min(...known);
}
