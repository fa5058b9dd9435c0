/**
 * The streams of a node as the rest of the server sees them: `Streams` over the engine.
 *
 * Role: answers questions (lists, queries, alerts, dead letters) and starts what runs beside the engine: sources, sinks,
 * the clock of ticks, checkpoints. `open.ts` makes one.
 */
import type { AlertBook } from '../alerts/alert-book.ts';
import { letterId, placeOf, type StoredLetter } from '../dead-letters/port.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { excerptOf } from '../define/definition-problem.ts';
import { columnTypes, keyTypes } from '../expressions/result-columns.ts';
import type { OperatorPlan, Plan } from '../plan.ts';
import { byValue } from '../rank.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import type { Connectors } from './connectors/connectors.ts';
import type { Definitions } from './definitions.ts';
import type { Answer, StreamEngine } from './engine.ts';
import { refusalOf } from './intake/intake.ts';
import {
  type DeadLetterFacts,
  type DefineOutcome,
  type OriginalEvent,
  type RaisedAlert,
  type Replayed,
  type ResultLine,
  type StreamChange,
  type StreamFacts,
  StreamRefusal,
  type Streams,
  type Truncation,
  type Unanswered,
  type WindowAnswer,
  type WindowQuery,
} from './port.ts';
import { StreamListeners } from './results/stream-listeners.ts';
import { operatorName } from './shards/image-chunks.ts';
import { ANSWER_CHARACTERS_MAX } from './task.ts';

export const QUERY_ROWS_MAX = 1000;
const RETRY_AFTER_MS = 1000;
const EVENTS_MAX = 64;

export class StreamService implements Streams {
  readonly #engine: StreamEngine;
  readonly #definitions: Definitions;
  readonly #alerts: AlertBook;
  readonly #connectors: Pick<Connectors, 'failingSources'>;
  readonly #listeners = new StreamListeners();

  constructor(
    engine: StreamEngine,
    definitions: Definitions,
    alerts: AlertBook,
    connectors: Pick<Connectors, 'failingSources'>,
  ) {
    this.#engine = engine;
    this.#definitions = definitions;
    this.#alerts = alerts;
    this.#connectors = connectors;
  }

  get plan(): Plan {
    return this.#engine.plan;
  }

  get definitions(): readonly StreamDefinition[] {
    return this.#definitions.inForce;
  }

  /** Nothing is taken yet, and what is in force may change. */
  get starting(): boolean {
    return this.#engine.state === 'starting';
  }

  get degraded(): readonly string[] {
    const sinks = this.#engine.outcomes.routes.filter(({ delivery }) => delivery.failing);
    const reasons = sinks.map(({ delivery }) => `sink ${delivery.name}`);
    reasons.push(...this.#connectors.failingSources.map((name) => `source ${name}`));
    if (this.#engine.state === 'broken') reasons.push('streams');
    if (this.starting) reasons.push(...this.#startReasons());
    if (!this.#engine.parts.eventLog.available) reasons.push('stream log');
    if (this.#engine.shards.notStored !== '') reasons.push('stream spill');
    if (this.#engine.burials.isHeld || this.#engine.burials.isBehind) reasons.push('stream dead letters');
    reasons.push(...this.#engine.missed.reasons, ...this.#engine.outcomes.failed.reasons);
    return reasons;
  }

  /** All of it waits, since none is running before: for sinks now and then, for the rest of the log in between. */
  #startReasons(): readonly string[] {
    const { full } = this.#engine.outcomes;
    return full.length === 0 ? ['stream start'] : full.map((sink) => `stream start, behind sink ${sink}`);
  }

  /** `unread`: why no thread is to decode it; then it is kept as a dead letter, and refused. */
  accept(stream: string, source: string, batch: IncomingBatch, unread = ''): Promise<Accepted> {
    return this.#engine.accept(stream, source, batch, unread);
  }

  list(): readonly StreamFacts[] {
    const letters = new Map(this.#engine.parts.deadLetters.counts().map((each) => [each.stream, each.letters]));
    return this.#engine.books.map(({ counters, pendingBytes, plan, watermark }) => ({
      name: plan.name,
      title: plan.title,
      description: plan.description,
      durability: plan.durability,
      watermark: finite(watermark),
      counters: { ...counters },
      pendingBytes,
      spilledBytes: this.#engine.shards.storedBytes(plan.index),
      deadLetters: letters.get(plan.name) ?? 0,
      partialsDropped: this.#partialsDropped(plan.index),
      keysEvicted: this.#engine.outcomes.evictions.of(this.plan, plan.index),
      resultsRefused: this.#resultsRefused(plan.name),
      resultsFailed: this.#engine.outcomes.failed.of(this.plan, plan.index),
      alertCallsLost: this.#alerts.callsLost(plan.name),
      stepsLeftOut: this.#engine.missed.count(plan.name),
    }));
  }

  #partialsDropped(stream: number): Record<string, number> {
    const patterns = this.plan.operators.filter((each) => each.stream === stream && each.kind === 'pattern');
    return Object.fromEntries(patterns.map(({ index, name }) => [name, this.#engine.shards.dropped(index)]));
  }

  #resultsRefused(stream: string): number {
    const routes = this.#engine.outcomes.routes.filter((route) => route.stream === stream);
    return routes.reduce((sum, { delivery }) => sum + delivery.refused, 0);
  }

  async query(query: WindowQuery): Promise<WindowAnswer> {
    const { plan } = this;
    const operator = this.#operatorNamed(query.stream, query.name);
    this.#checkValue(operator, query.by);
    const limit = Math.min(query.limit, QUERY_ROWS_MAX);
    const rows: ResultLine[] = [];
    const truncatedBy: Truncation[] = [];
    const open = query.include === 'closed' ? NOTHING_OPEN : await this.#open(operator, { ...query, limit });
    // In another plan the operator may have another place, or be another one.
    if (this.plan !== plan) return this.query(query);
    if (open === null) throw new StreamRefusal('stopped', 'the streams are stopping', RETRY_AFTER_MS);
    let characters = 0;
    let isCut = open.rows.some((each) => each.isCut);
    for (const { lines } of open.rows) {
      for (const line of lines) {
        characters += line.length;
        rows.push(JSON.parse(line) as ResultLine);
      }
    }
    if (query.include !== 'open') {
      const retained = this.#engine.outcomes.retained.get(operatorName(plan, operator));
      const closed = retained?.find({ ...query, limit }) ?? { rows: [], isAll: true, characters: 0, isCut: false };
      for (const row of closed.rows) rows.push(row);
      characters += closed.characters;
      isCut ||= closed.isCut;
      if (!closed.isAll) truncatedBy.push('retained');
    }
    if (query.by !== '') rows.sort((a, b) => byValue(a, b, query.by));
    const watermark = finite(this.#engine.books[operator.stream]?.watermark ?? Number.NEGATIVE_INFINITY);
    if (rows.length > limit) truncatedBy.unshift('limit');
    if (open.unasked.length > 0) truncatedBy.push('unanswered');
    const unanswered = unansweredOf(plan, open);
    const given = rows.slice(0, limit);
    if (characters > ANSWER_CHARACTERS_MAX) isCut = cutToSize(given) || isCut;
    if (isCut) truncatedBy.push('size');
    return { rows: given, watermark, truncated: truncatedBy.length > 0, truncatedBy, unanswered };
  }

  #checkValue(operator: OperatorPlan, by: string): void {
    const columns = columnTypes(this.plan, operator);
    if (by === '' || columns === null) return;
    const type = columns.get(by);
    if (type === undefined) {
      const known = [...columns.keys()].slice(0, 20).join(', ');
      throw new StreamRefusal('invalid', `${operator.name} has no value ${JSON.stringify(by)}; it has ${known}`);
    }
    if (type !== 'string' && type !== 'boolean') return;
    throw new StreamRefusal('invalid', `by: ${by} of ${operator.name} is a ${type}, expected a value that is a number`);
  }

  #operatorNamed(stream: string, name: string): OperatorPlan {
    const index = this.#engine.bookNamed(stream).plan.index;
    const operator = this.plan.operators.find((each) => each.stream === index && each.name === name);
    if (operator !== undefined) return operator;
    const names = this.plan.operators.filter((each) => each.stream === index).map((each) => each.name);
    const known = names.length === 0 ? 'it has none' : `it has ${names.slice(0, 20).join(', ')}`;
    throw new StreamRefusal('unknown', `stream ${stream} has no window or pattern ${JSON.stringify(name)}; ${known}`);
  }

  async #open(operator: OperatorPlan, { by, fromMs, key, limit, toMs }: WindowQuery): Promise<Answer | null> {
    const values = key === null ? [] : this.#keyValues(operator, key);
    // A key given in part is looked for among all.
    const complete = key !== null && !values.includes(undefined);
    return this.#engine.ask(operator.index, {
      key: complete ? (values as (string | number | boolean | null)[]) : null,
      match: complete ? null : key,
      fromMs,
      toMs,
      by,
      limit: limit + 1,
    });
  }

  #keyValues(
    operator: OperatorPlan,
    key: NonNullable<WindowQuery['key']>,
  ): (string | number | boolean | null | undefined)[] {
    const types = keyTypes(this.plan, operator.group);
    for (const [name, value] of Object.entries(key)) {
      const type = types.get(name);
      if (type === undefined) {
        const names = types.size === 0 ? 'it has no key' : `its key is ${[...types.keys()].join(', ')}`;
        throw new StreamRefusal('invalid', `key member ${JSON.stringify(name)} is not of ${operator.name}; ${names}`);
      }
      if (value === null || typeof value === type) continue;
      const wrong = `key member ${JSON.stringify(name)} of ${operator.name}: ${excerptOf(value)}, expected a ${type}`;
      throw new StreamRefusal('invalid', wrong);
    }
    return [...types.keys()].map((name) => (Object.hasOwn(key, name) ? key[name] : undefined));
  }

  alerts(filter: {
    readonly stream: string;
    readonly active: boolean;
    readonly limit: number;
  }): readonly RaisedAlert[] {
    if (filter.stream !== '') this.#engine.bookNamed(filter.stream);
    return this.#alerts.list(filter);
  }

  define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    return this.#definitions.define(stream, kind, definition);
  }

  async remove(stream: string, kind: 'windows' | 'patterns', name: string): Promise<DefineOutcome> {
    const outcome = await this.#definitions.remove(stream, kind, name);
    // Whoever reads its results is to see that there are none any more.
    this.tell({ stream, operator: name, kind: kind === 'windows' ? 'window' : 'pattern' });
    return outcome;
  }

  /** As `Definitions.adopt`. */
  adopt(read: () => Promise<readonly StreamDefinition[] | null>): Promise<boolean> {
    return this.#definitions.adopt(read);
  }

  /** One log serves all streams of an engine. */
  async events(_stream: string, ids: readonly string[]): Promise<readonly OriginalEvent[]> {
    return this.#engine.originals(ids.slice(0, EVENTS_MAX));
  }

  async deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    this.#engine.bookNamed(stream);
    const letters = await this.#engine.parts.deadLetters.list(stream, { after, limit });
    return letters.map(factsOf);
  }

  /** A dead letter as it is taken again; null when it is not there. */
  async letterBatch(stream: string, id: string): Promise<IncomingBatch | null> {
    this.#engine.bookNamed(stream);
    const letter = await this.#letter(stream, id);
    if (letter === null) return null;
    const { bytes, correlationId, format, partition, traceparent } = letter;
    // One that is refused again comes back under a new id; one that is taken must not be taken twice.
    const batchId = `dead-letter/${id}`;
    return { format, partition, body: bytes, position: '', batchId, traceparent, correlationId };
  }

  async replayDeadLetters(stream: string, ids: readonly string[]): Promise<Replayed> {
    const sum = { letters: 0, accepted: 0, rejected: 0, late: 0 };
    for (const id of ids) {
      const batch = await this.letterBatch(stream, id);
      if (batch === null) continue;
      const outcome = await takenAgain(this.accept(stream, 'dead-letters', batch));
      await this.#remove(stream, [id], `the events of dead letter ${id} have been taken again; it stays, since `);
      sum.letters += 1;
      sum.accepted += outcome.accepted;
      sum.rejected += outcome.rejected;
      sum.late += outcome.late;
    }
    return sum;
  }

  /** The page of one that begins right before it. */
  async #letter(stream: string, id: string): Promise<StoredLetter | null> {
    const place = placeOf(id);
    if (place === null)
      throw new StreamRefusal('invalid', `${JSON.stringify(id.slice(0, 64))} is not the id of a dead letter`);
    const [seq, index] = place;
    const after = index > 0 ? letterId(seq, index - 1) : letterId(seq - 1, Number.MAX_SAFE_INTEGER % 1e15);
    const [letter] = await this.#engine.parts.deadLetters.list(stream, { after, limit: 1 });
    return letter?.id === id ? letter : null;
  }

  async dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    this.#engine.bookNamed(stream);
    return this.#remove(stream, ids, '');
  }

  async #remove(stream: string, ids: readonly string[], before: string): Promise<number> {
    try {
      return await this.#engine.parts.deadLetters.remove(stream, ids);
    } catch (error) {
      const refusal = refusalOf(error);
      if (before === '' || !(refusal instanceof StreamRefusal)) throw refusal;
      throw new StreamRefusal(refusal.refusal, `${before}${refusal.message}`, refusal.retryAfterMs);
    }
  }

  onChange(listener: (change: StreamChange) => void): () => void {
    return this.#listeners.onChange(listener);
  }

  /** Called after a window or pattern was defined or removed. */
  onDefined(listener: () => void): void {
    this.#listeners.onDefined(listener);
  }

  /** What is in force has changed; after a start that went on by itself, what is so for good. */
  tellDefined(): void {
    this.#listeners.defined();
  }

  tell(change: StreamChange): void {
    this.#listeners.changed(change);
  }
}

/** What became of a dead letter that was taken again: it may have come back. */
export async function takenAgain(taking: Promise<Accepted>): Promise<Accepted> {
  try {
    return await taking;
  } catch (error) {
    if (!(error instanceof StreamRefusal && error.isKept)) throw error;
    return { accepted: 0, rejected: 1, late: 0 };
  }
}

const NOTHING_OPEN: Answer = { rows: [], unasked: [] };

/** Takes rows away from the end until there is room for the others; whether there were any. */
function cutToSize(rows: ResultLine[]): boolean {
  let characters = 0;
  const first = rows.findIndex((row) => {
    characters += JSON.stringify(row).length;
    return characters > ANSWER_CHARACTERS_MAX;
  });
  if (first >= 0) rows.length = first;
  return first >= 0;
}

const unansweredOf = ({ shards: all }: Plan, { unasked }: Answer): Unanswered[] =>
  unasked.map(({ shards, why }) => ({ part: `shards ${shards.toSorted((a, b) => a - b).join(', ')} of ${all}`, why }));

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function factsOf(letter: StoredLetter): DeadLetterFacts {
  const { bytes, ...facts } = letter;
  const { arrivalMs, id, index, partition, reason, seq, source, stream } = facts;
  const shown = { id, stream, seq, index, source, partition, reason, arrivalMs };
  try {
    return { ...shown, text: strict.decode(bytes), base64: false };
  } catch {
    // Not UTF-8.
    return { ...shown, text: Buffer.from(bytes).toString('base64'), base64: true };
  }
}
