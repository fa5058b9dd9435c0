/**
 * Where the results of a round go: kept for queries, told to subscribers, raised as alerts, delivered to sinks, turned
 * into events of other streams.
 *
 * Role: the fan-out behind the pipeline. Results come in order of the log, and everything here keeps that order.
 * Invariant: nothing reaches the outside twice for one sequence number, where it can be told: sinks have cursors, calls of
 * alerts have ids, and while a log is replayed nobody is told of a change.
 */
import type { AlertBook } from '../../alerts/alert-book.ts';
import type { Feed } from '../../feeds.ts';
import { apart, lineMemory } from '../../lines/line-memory.ts';
import { linesOf } from '../../lines/lines-of.ts';
import type { AlertPlan, OperatorPlan, Plan } from '../../plan.ts';
import { LineBatch } from '../../sinks/line-batch.ts';
import type { ResultLine, StreamChange } from '../port.ts';
import { operatorName } from '../shards/image-chunks.ts';
import type { ResultChunk } from '../task.ts';
import type { Delivery } from './delivery.ts';
import { Derivations } from './derivations.ts';
import { DerivedRecords } from './derived-records.ts';
import { Evictions } from './evictions.ts';
import { FailedResults } from './failed-results.ts';
import { Rankings } from './rankings.ts';
import { Retained } from './retained.ts';

export interface SinkRoute {
  readonly delivery: Delivery;
  readonly stream: string;
  /** Operators whose results it takes; empty: all of the stream. */
  readonly of: readonly string[];
  /** The stream its lines become events of; `''` for a sink outside. */
  readonly target: string;
}

export interface OutcomePorts {
  readonly alerts: AlertBook;
  /** Results were given out. */
  counted(stream: number, results: number): void;
  changed(change: StreamChange): void;
  /** Everything waits for a sink, or for the store of dead letters. */
  held?(): void;
  /** When the record came that results of this number follow from. */
  arrivalMs(seq: number): number;
}

export class Outcomes {
  #plan: Plan;
  #retained: Map<string, Retained>;
  readonly #ports: OutcomePorts;
  /** Results that become events of streams. */
  derivations: Derivations;
  #routes: readonly SinkRoute[] = [];
  readonly rankings: Rankings;
  readonly evictions = new Evictions();
  readonly failed = new FailedResults();
  readonly derived = new DerivedRecords();
  replaying = false;

  constructor(plan: Plan, ports: OutcomePorts) {
    this.#plan = plan;
    this.#ports = ports;
    this.rankings = new Rankings(plan);
    this.derivations = new Derivations(plan, []);
    this.#retained = new Map(plan.operators.map((operator) => [operatorName(plan, operator), new Retained(operator)]));
  }

  /** Before another plan is used: what operators that do not go on have said is not that of others of their names. */
  keep(operators: ReadonlySet<string>): void {
    for (const name of this.#retained.keys()) if (!operators.has(name)) this.#retained.delete(name);
    this.#ports.alerts.keep(operators);
    this.evictions.keep(operators);
    this.failed.keep(operators);
  }

  usePlan(plan: Plan): void {
    const before = this.#retained;
    this.#plan = plan;
    this.rankings.usePlan(plan);
    this.#retained = new Map(
      plan.operators.map((operator) => {
        const name = operatorName(plan, operator);
        return [name, before.get(name)?.use(operator) ?? new Retained(operator)];
      }),
    );
  }

  useRoutes(routes: readonly SinkRoute[]): void {
    this.#routes = routes.filter(({ target }) => target === '');
    this.derivations = new Derivations(this.#plan, this.#feedsOf(routes));
  }

  /** By sinks of type `stream`, and by actions of alerts. */
  #feedsOf(routes: readonly SinkRoute[]): readonly Feed[] {
    const { operators, streams } = this.#plan;
    return operators.flatMap((operator) => {
      const actions = operator.kind === 'alert' ? operator.actions : [];
      const names = [
        ...routes.flatMap((route) => (route.target !== '' && this.#takes(route, operator) ? [route.target] : [])),
        ...actions.flatMap((action) => ('stream' in action ? [action.stream] : [])),
      ];
      const targets = names.map((name) => streams.findIndex((stream) => stream.name === name));
      return targets.flatMap((target) => (target < 0 ? [] : [{ operator: operator.index, target }]));
    });
  }

  get routes(): readonly SinkRoute[] {
    return this.#routes;
  }

  get alerts(): AlertBook {
    return this.#ports.alerts;
  }

  get retained(): ReadonlyMap<string, Retained> {
    return this.#retained;
  }

  #takes({ of, stream }: SinkRoute, operator: OperatorPlan): boolean {
    if (this.#plan.streams[operator.stream]?.name !== stream) return false;
    return of.length === 0 ? true : of.includes(operator.name);
  }

  /** Resolves when the sinks have room. */
  async take(chunks: readonly ResultChunk[]): Promise<void> {
    for (const { lines } of chunks) lineMemory.hold(lines);
    const touched = new Set<number>();
    const perSink = new Map<Delivery, LineBatch[]>();
    for (const chunk of apart(this.rankings.of(chunks))) {
      const operator = this.#plan.operators[chunk.operator] as OperatorPlan;
      this.#ports.counted(operator.stream, chunk.count);
      touched.add(chunk.operator);
      this.#retained.get(operatorName(this.#plan, operator))?.add(chunk);
      if (operator.kind === 'alert') this.#raise(operator, chunk);
      this.#toSinks(operator, chunk, perSink);
      this.derivations.collect(chunk);
    }
    for (const [delivery, batches] of perSink) for (const batch of batches) delivery.push(batch);
    for (const { lines } of chunks) lineMemory.release(lines);
    if (!this.replaying) for (const operator of touched) this.#tell(this.#plan.operators[operator] as OperatorPlan);
    if (this.full.length > 0) this.held();
    for (const { delivery } of this.#routes) await delivery.room();
  }

  /** Everything waits for what is outside. */
  held(): void {
    this.#ports.held?.();
  }

  /** Sinks that everything waits for. */
  get full(): readonly string[] {
    return this.#routes.flatMap(({ delivery }) => (delivery.isFull ? [delivery.name] : []));
  }

  #tell(operator: OperatorPlan): void {
    const stream = this.#plan.streams[operator.stream]?.name ?? '';
    this.#ports.changed({ stream, operator: operator.name, kind: operator.kind });
  }

  #toSinks(operator: OperatorPlan, chunk: ResultChunk, perSink: Map<Delivery, LineBatch[]>): void {
    for (const route of this.#routes) {
      if (!this.#takes(route, operator)) continue;
      const batches = perSink.get(route.delivery) ?? [];
      perSink.set(route.delivery, batches);
      let newest = batches.at(-1);
      if (newest?.seq !== chunk.seq) {
        newest = new LineBatch(chunk.seq);
        batches.push(newest);
      }
      newest.add(chunk.lines, chunk.count);
    }
  }

  #raise(operator: AlertPlan, chunk: ResultChunk): void {
    const stream = this.#plan.streams[operator.stream]?.name ?? '';
    const lines = linesOf(chunk.lines).map((line) => JSON.parse(line) as ResultLine);
    this.#ports.alerts.take(stream, operator, lines, this.#ports.arrivalMs(chunk.seq));
  }
}
