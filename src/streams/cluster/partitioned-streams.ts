/**
 * The streams of a family that is cut into partitions, each a unit of its own somewhere: asked as if they were one.
 *
 * Role: puts together what all partitions are asked for, and asks one alone where a key or an id says which; batches go
 * through `partition-intake.ts`.
 * Ids of events and dead letters are a log's own; here they carry the number of their partition (`2/33:1`).
 */
import { type KeyValue, partitionOf } from '../decode/key-hash.ts';
import {
  type AlertFilter,
  type DeadLetterFacts,
  type DefineOutcome,
  type OriginalEvent,
  type RaisedAlert,
  type Replayed,
  type ResultLine,
  StreamRefusal,
  type WindowAnswer,
  type WindowQuery,
} from '../engine/port.ts';
import { QUERY_ROWS_MAX, takenAgain } from '../engine/service.ts';
import { byRank, byValue } from '../rank.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import { earliest } from './facts.ts';
import { PartitionIntake, type PartitionPorts, planOf } from './partition-intake.ts';
import type { FamilyStreams, UnitStreams } from './unit-streams.ts';
import { idIn } from './units.ts';

export class PartitionedStreams implements FamilyStreams {
  readonly #ports: PartitionPorts;
  readonly #intake: PartitionIntake;

  constructor(ports: PartitionPorts) {
    this.#ports = ports;
    this.#intake = new PartitionIntake(ports);
  }

  get #units(): readonly UnitStreams[] {
    return this.#ports.partitions;
  }

  accept(stream: string, source: string, batch: IncomingBatch): Promise<Accepted> {
    return this.#intake.accept(stream, source, batch);
  }

  async query(query: WindowQuery): Promise<WindowAnswer> {
    const known = this.#partitionOf(query);
    if (known !== null) return tagged(await this.#unit(known).query(query), known);
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
    const answers = await Promise.all(this.#units.map(async (unit, i) => tagged(await unit.query(query), i)));
    const rows = answers.flatMap((answer) => answer.rows);
    return {
      rows: rows.sort((a, b) => (query.by === '' ? byRank(endOf(a), endOf(b)) : byValue(a, b, query.by))),
      watermark: earliest(answers.map(({ watermark }) => watermark)),
      ...truncationOf(answers, false),
    };
  }

  /** Null: it is not of one key. */
  #partitionOf({ key, stream }: WindowQuery): number | null {
    if (key === null) return null;
    const { fields, key: indexes, partitions } = planOf(this.#ports, stream);
    const values = indexes.map((index) => {
      const name = fields[index]?.name ?? '';
      return Object.hasOwn(key, name) ? key[name] : undefined;
    });
    return values.includes(undefined) ? null : partitionOf(values as KeyValue[], partitions);
  }

  async alerts(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    const all = await Promise.all(this.#units.map(async (unit, i) => taggedAlerts(await unit.alerts(filter), i)));
    return newestFirst(all.flat(), filter.limit);
  }

  async alertsIfThere(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    const all = await Promise.all(
      this.#units.map(async (unit, i) => taggedAlerts(await unit.alertsIfThere(filter), i)),
    );
    return all.flat();
  }

  /**
   * By the first partition, which takes one definition after the other, whoever sends them, and refuses for all. The
   * others follow it; one that cannot now does so later by itself.
   */
  define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    return this.#byFirst((first) => first.define(stream, kind, definition));
  }

  /** As `define`. */
  remove(stream: string, kind: 'windows' | 'patterns', name: string): Promise<DefineOutcome> {
    return this.#byFirst((first) => first.remove(stream, kind, name));
  }

  async #byFirst(change: (first: UnitStreams) => Promise<DefineOutcome>): Promise<DefineOutcome> {
    const outcome = await change(this.#unit(0));
    const followed = await Promise.allSettled(this.#units.slice(1).map((unit) => unit.follow()));
    for (const [i, each] of followed.entries()) {
      if (each.status === 'fulfilled') continue;
      const error: unknown = each.reason;
      if (!(error instanceof StreamRefusal)) throw error;
      const text = `in force in the first partition, which the others follow; partition ${i + 1}: ${error.message}`;
      throw new StreamRefusal(error.refusal, text, error.retryAfterMs);
    }
    return outcome;
  }

  async events(stream: string, ids: readonly string[]): Promise<readonly OriginalEvent[]> {
    const found = await Promise.all(
      [...this.#byPartition(ids)].map(async ([partition, its]) => {
        const events = await this.#unit(partition).events(stream, its);
        return events.map((event) => ({ ...event, id: idIn(partition, event.id) }));
      }),
    );
    return found.flat();
  }

  /** Partition by partition, each oldest first. */
  async deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    const [first, afterId] = after === '' ? [0, ''] : this.#placeOf(after);
    const letters: DeadLetterFacts[] = [];
    for (let partition = first; partition < this.#units.length && letters.length < limit; partition++) {
      const from = partition === first ? afterId : '';
      const page = await this.#unit(partition).deadLetters(stream, from, limit - letters.length);
      for (const letter of page) letters.push({ ...letter, id: idIn(partition, letter.id) });
    }
    return letters;
  }

  async replayDeadLetters(stream: string, ids: readonly string[]): Promise<Replayed> {
    const sum = { letters: 0, accepted: 0, rejected: 0, late: 0 };
    for (const tagged of ids) {
      const [partition, id] = this.#placeOf(tagged);
      const unit = this.#unit(partition);
      const batch = await unit.letterBatch(stream, id);
      if (batch === null) continue;
      // Cut anew: it may be of several partitions, or of another one than could be read.
      const again = this.accept(stream, 'dead-letters', { ...batch, batchId: `dead-letter/${tagged}` });
      const { accepted, late, rejected } = await takenAgain(again);
      await unit.dropDeadLetters(stream, [id]);
      sum.letters += 1;
      sum.accepted += accepted;
      sum.rejected += rejected;
      sum.late += late;
    }
    return sum;
  }

  async dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    let dropped = 0;
    for (const [partition, its] of this.#byPartition(ids)) {
      dropped += await this.#unit(partition).dropDeadLetters(stream, its);
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
    if (rest !== undefined && Number(partition) < this.#units.length) return [Number(partition), rest];
    const shown = JSON.stringify(id.slice(0, 64));
    throw new StreamRefusal('invalid', `${shown} is not an id of a stream with partitions, expected one like "0/12:3"`);
  }

  #unit(partition: number): UnitStreams {
    return this.#units[partition] as UnitStreams;
  }
}

function truncationOf(
  answers: readonly WindowAnswer[],
  byLimit: boolean,
): Pick<WindowAnswer, 'truncated' | 'truncatedBy' | 'unanswered'> {
  const found = new Set(answers.flatMap(({ truncatedBy }) => truncatedBy));
  if (byLimit) found.add('limit');
  const unanswered = answers.flatMap((answer) => answer.unanswered);
  return { truncated: found.size > 0, truncatedBy: [...found].toSorted(), unanswered };
}

function tagged({ rows, unanswered, ...rest }: WindowAnswer, partition: number): WindowAnswer {
  const without = unanswered.map(({ part, why }) => ({ part: `partition ${partition}: ${part}`, why }));
  return { ...rest, unanswered: without, rows: rows.map((line) => taggedLine(line, partition)) };
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
