/**
 * Start, checkpoints, changes of the plan, stop: the engine's life beside its work.
 *
 * Role: a start is "newest good checkpoint, then the log after it, through the same pipeline"; a checkpoint is a barrier
 * and a copy; a new plan is a record of the log like any other, so that a replay changes it at the same place.
 * A start puts its declaration in force, with what was defined at run time beside it (`defined.ts`), and says what lost
 * its state by it.
 * Invariants: the log is cut only up to the oldest checkpoint that is kept; a checkpoint holds what sinks have not taken.
 */
import type { AlertFacts } from '../alerts/alert-book.ts';
import type { Checkpoint, CheckpointStore } from '../checkpoints/port.ts';
import { compatibility, IS_NEW } from '../define/compatibility.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { LoggedRecord } from '../log/port.ts';
import type { Plan } from '../plan.ts';
import type { SinkBatch } from '../sinks/port.ts';
import { type BookFacts, StreamBook } from './books.ts';
import { type Defined, type InForce, mergeDefined } from './defined.ts';
import type { EngineLog, StreamEngine } from './engine.ts';
import { chunksOf, groupName, groupsAnew, imagesFrom, operatorName, shapesOf, shared } from './image-chunks.ts';
import type { DefineOutcome } from './port.ts';
import type { RankingFacts } from './rankings.ts';
import { createShard, type ShardParts } from './shard.ts';
import { ShardSet } from './shard-set.ts';
import type { ShardImage } from './task.ts';

export interface LifecycleOptions {
  readonly engine: StreamEngine;
  readonly shardParts: ShardParts;
  readonly store: CheckpointStore | null;
  /** Of state that begins anew. */
  readonly shards: number;
  readonly compile: (definitions: readonly StreamDefinition[], epoch: number, shards: number) => Plan;
  /** Modules of the plan are loaded, connectors are made: called before the plan is used. */
  readonly prepare: (
    definitions: readonly StreamDefinition[],
    plan: Plan,
    before: ReadonlyMap<string, SinkFacts>,
  ) => Promise<void>;
  /** The plan is in force: results go by it. */
  readonly planUsed: () => void;
  readonly log: EngineLog;
}

export interface SinkFacts {
  readonly cursor: number;
  readonly pending: readonly SinkBatch[];
}

interface Facts {
  readonly shards: number;
  /** Of the memory of operators, by their names; see `define/state-shape.ts`. */
  readonly shapes: Readonly<Record<string, string>>;
  readonly incarnation: number;
  readonly books: Readonly<Record<string, BookFacts>>;
  readonly sinks: Readonly<Record<string, SinkFacts>>;
  readonly alerts: AlertFacts;
  readonly rankings: RankingFacts;
}

export class Lifecycle {
  #inForce: InForce = { definitions: [], defined: [] };
  readonly #options: LifecycleOptions;
  /** Keys are where they are: this stays, whatever is configured, for as long as there is a checkpoint. */
  #shards: number;
  #saving: Promise<void> | null = null;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#shards = options.shards;
  }

  get definitions(): readonly StreamDefinition[] {
    return this.#inForce.definitions;
  }

  /** Resolves when the state is what the log says and the declaration is in force, with what was defined beside it. */
  async start(declared: readonly StreamDefinition[]): Promise<void> {
    const { engine, log, store } = this.#options;
    engine.outcomes.replaying = true;
    const checkpoint =
      store === null
        ? null
        : await store.newest((seq, reason) => log.error({ seq, reason }, 'a damaged checkpoint is passed over'));
    if (checkpoint !== null) await this.#restore(checkpoint);
    const from = checkpoint?.seq ?? 0;
    let replayed = 0;
    for await (const logged of engine.parts.eventLog.read(from)) {
      await this.#replay(logged);
      replayed += 1;
    }
    await engine.pipeline.idle();
    if (replayed > 0 || checkpoint !== null) log.info({ checkpoint: from, replayed }, 'streams restored');
    engine.outcomes.replaying = false;
    // How much state there is: a stream that is full is so from the first batch.
    if (checkpoint !== null && engine.state === 'starting') await engine.shards.round([], Number.POSITIVE_INFINITY);
    for (const book of engine.books) book.observe({ kind: 'restarted' }, engine.parts.now());
    await this.#declare(declared);
    engine.state = 'running';
  }

  async #declare(declared: readonly StreamDefinition[]): Promise<void> {
    const { compile, engine, log } = this.#options;
    const before = this.#inForce;
    const merged = mergeDefined(declared, before, (given) => compile(given, engine.plan.epoch + 1, this.#shards));
    for (const facts of merged.leftOut) log.warn(facts, 'what was defined at run time is not in force any more');
    if (JSON.stringify(merged.definitions) === JSON.stringify(before.definitions)) {
      this.#inForce = { definitions: merged.definitions, defined: merged.defined };
      return;
    }
    const { operators } = await this.#putInForce(merged);
    for (const { kept, name, why } of operators) {
      if (!kept && why !== IS_NEW) log.warn({ operator: name, why }, 'the definition has changed: its state is gone');
    }
  }

  async #restore(checkpoint: Checkpoint): Promise<void> {
    const { compile, engine, log, prepare, shardParts, shards } = this.#options;
    const facts = JSON.parse(checkpoint.factsJson) as Facts;
    this.#inForce = JSON.parse(checkpoint.definitionsJson) as InForce;
    if (facts.shards !== shards) log.warn({ shards, saved: facts.shards }, 'the number of shards stays what it was');
    this.#shards = facts.shards;
    const plan = compile(this.definitions, engine.plan.epoch + 1, facts.shards);
    const anew = groupsAnew(plan, facts.shapes);
    for (const [group, why] of anew) {
      const operators = plan.operators.filter((each) => each.group === group).map((each) => operatorName(plan, each));
      log.warn({ operators, why }, 'state of an earlier version cannot be read: it begins anew');
    }
    const fresh = (shard: number): ShardImage => createShard(shard, plan, shardParts, 0);
    const books = plan.streams.map((stream) => {
      const book = new StreamBook(stream);
      const known = facts.books[stream.name];
      if (known !== undefined) book.restore(known);
      const dedup = checkpoint.chunks.get(`dedup/${stream.name}`);
      if (dedup !== undefined) book.dedup = shared(dedup);
      return book;
    });
    const watermarks = books.map(({ watermark }) => watermark);
    await prepare(this.definitions, plan, new Map(Object.entries(facts.sinks)));
    this.#use(
      plan,
      imagesFrom(plan, checkpoint.chunks, watermarks, { groups: anew, fresh }),
      facts.incarnation + 1,
      books,
    );
    for (const [name, retained] of engine.outcomes.retained) {
      const bytes = checkpoint.chunks.get(`retained/${name}`);
      if (bytes !== undefined) retained.restore(bytes);
    }
    engine.outcomes.rankings.restore(facts.rankings);
    engine.outcomes.alerts.restore(facts.alerts);
    engine.appliedSeq = checkpoint.seq;
  }

  async #replay({ record, seq }: LoggedRecord): Promise<void> {
    const { engine, log } = this.#options;
    const durable = Promise.resolve();
    if (record.kind === 'tick') engine.tick(record, seq, durable);
    else if (record.kind === 'time')
      engine.enterTime(record, seq, durable).catch((error: unknown) => {
        log.error({ err: error, seq }, 'a record of the log could not be applied again');
      });
    else if (record.kind === 'plan') {
      await engine.pipeline.idle();
      await this.#change(JSON.parse(record.definitionsJson) as InForce);
      engine.appliedSeq = seq;
    } else {
      const book = engine.books.find(({ plan }) => plan.name === record.stream);
      if (book === undefined) return;
      engine.enter(book, record, seq, durable).catch((error: unknown) => {
        log.error({ err: error, seq }, 'a record of the log could not be applied again');
      });
      if (book.pendingBytes > book.plan.pendingBytesMax) await engine.pipeline.idle();
    }
  }

  /** Puts definitions in force, `added` new among them. Rejects with `DefinitionProblem`, changing nothing. */
  define(definitions: readonly StreamDefinition[], added: Defined): Promise<DefineOutcome> {
    const { kind, name, stream } = added;
    const others = this.#inForce.defined.filter(
      (each) => each.stream !== stream || each.kind !== kind || each.name !== name,
    );
    return this.#putInForce({ definitions, defined: [...others, added] });
  }

  /** Puts in force what is so elsewhere. */
  adopt(definitions: readonly StreamDefinition[]): Promise<DefineOutcome> {
    return this.#putInForce({ definitions, defined: this.#inForce.defined });
  }

  /** What came before them is applied first. */
  async #putInForce({ defined, definitions }: InForce): Promise<DefineOutcome> {
    const { compile, engine } = this.#options;
    const next = { definitions, defined };
    const plan = compile(definitions, engine.plan.epoch + 1, this.#shards);
    const outcome = await engine.pipeline.barrier(async () => {
      const seq = await this.#logPlan(next, plan);
      const changed = await this.#change(next);
      engine.appliedSeq = seq;
      return changed;
    });
    await this.checkpoint();
    return outcome;
  }

  /** What cannot be prepared must not be in the log: every replay would fail at it. */
  async #logPlan(next: InForce, plan: Plan): Promise<number> {
    const { engine, planUsed, prepare } = this.#options;
    const facts = this.#sinkFacts();
    await prepare(next.definitions, plan, facts);
    try {
      const record = { kind: 'plan', definitionsJson: JSON.stringify(next) } as const;
      const { durable, seq } = engine.parts.eventLog.append(record);
      await durable;
      return seq;
    } catch (error) {
      await prepare(this.definitions, engine.plan, facts);
      planUsed();
      throw error;
    }
  }

  /** Between rounds. */
  async #change(next: InForce): Promise<DefineOutcome> {
    const { definitions } = next;
    const { compile, engine, prepare } = this.#options;
    const before = engine.plan;
    const plan = compile(definitions, before.epoch + 1, this.#shards);
    await prepare(definitions, plan, this.#sinkFacts());
    const verdicts = compatibility(before, plan);
    const kept = new Set(verdicts.filter((each) => each.kept).map((each) => each.operator));
    await this.#letGo(before, plan, kept);
    const images = this.#carryOver(before, plan, kept);
    const books = plan.streams.map((stream) => {
      const known = engine.books.find((book) => book.plan.name === stream.name);
      if (known === undefined) return new StreamBook(stream);
      known.plan = stream;
      return known;
    });
    this.#inForce = next;
    this.#use(plan, images, engine.shards.incarnation + 1, books);
    return { operators: verdicts.map(({ operator, kept: keeps, why }) => ({ name: operator, kept: keeps, why })) };
  }

  /** Key tables that go on must not hold keys for operators that do not. */
  async #letGo(before: Plan, after: Plan, kept: ReadonlySet<string>): Promise<void> {
    if (before.shards !== after.shards) return;
    const groups = new Set(after.groups.map(({ index }) => groupName(after, index)));
    const operators = before.operators
      .filter((operator) => !kept.has(operatorName(before, operator)) && groups.has(groupName(before, operator.group)))
      .map(({ index }) => index);
    if (operators.length > 0) {
      await this.#options.engine.shards.round([{ kind: 'drop', operators }], Number.POSITIVE_INFINITY);
    }
  }

  #use(plan: Plan, images: readonly ShardImage[], incarnation: number, books: StreamBook[]): void {
    const { engine, log, planUsed, shardParts } = this.#options;
    engine.parts.threads.usePlan(plan);
    engine.plan = plan;
    engine.books = books;
    engine.shards = new ShardSet(plan, shardParts, engine.parts.threads, eventsFor(log, engine), images, incarnation);
    engine.outcomes.usePlan(plan);
    planUsed();
  }

  /** Memory of groups and operators that the new plan understands; fresh memory for the others. */
  #carryOver(before: Plan, after: Plan, kept: ReadonlySet<string>): ShardImage[] {
    const { engine, shardParts } = this.#options;
    const groups = new Map(before.groups.map(({ index }) => [groupName(before, index), index]));
    const operators = new Map(before.operators.map((operator) => [operatorName(before, operator), operator]));
    const sameShards = before.shards === after.shards;
    return Array.from({ length: after.shards }, (_, shard) => {
      const fresh = createShard(shard, after, shardParts, 0);
      const old = engine.shards.images[shard];
      if (old === undefined || !sameShards) return fresh;
      const keeps = (name: string): boolean => kept.has(name) && operators.has(name);
      const groupImages = after.groups.map(({ index }) => {
        const known = groups.get(groupName(after, index));
        return (
          (known === undefined ? undefined : old.groups[known]) ?? (fresh.groups[index] as ShardImage['groups'][number])
        );
      });
      const operatorImages = after.operators.map((operator) => {
        const name = operatorName(after, operator);
        const known = keeps(name) ? operators.get(name) : undefined;
        const image = known === undefined ? undefined : old.operators[known.index];
        return image ?? (fresh.operators[operator.index] as ShardImage['operators'][number]);
      });
      const watermarks = after.streams.map(({ name }) => {
        const index = before.streams.findIndex((stream) => stream.name === name);
        return old.watermarks[index] ?? Number.NEGATIVE_INFINITY;
      });
      return { ...fresh, groups: groupImages, operators: operatorImages, watermarks };
    });
  }

  /** Saves the state as of now; one at a time. Rejects when the store cannot; the earlier checkpoints stay. */
  checkpoint(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async #save(): Promise<void> {
    const { engine, store } = this.#options;
    const checkpoint = await engine.pipeline.barrier(async () => {
      await engine.buried();
      await engine.shards.rebase();
      return store === null ? null : this.#capture();
    });
    if (store === null || checkpoint === null) {
      await engine.parts.eventLog.truncate(engine.appliedSeq);
      return;
    }
    await store.save(checkpoint);
    await engine.parts.eventLog.truncate(store.oldestSeq());
  }

  #capture(): Checkpoint {
    const { engine } = this.#options;
    const chunks = chunksOf(engine.plan, engine.shards.base);
    for (const [name, retained] of engine.outcomes.retained) chunks.set(`retained/${name}`, retained.toBytes());
    for (const { dedup, plan } of engine.books) {
      if (dedup !== null) chunks.set(`dedup/${plan.name}`, new Uint8Array(dedup.slice(0)));
    }
    const facts: Facts = {
      shards: engine.plan.shards,
      shapes: shapesOf(engine.plan),
      incarnation: engine.shards.incarnation,
      books: Object.fromEntries(engine.books.map((book) => [book.plan.name, book.facts()])),
      sinks: Object.fromEntries(this.#sinkFacts()),
      alerts: engine.outcomes.alerts.facts(),
      rankings: engine.outcomes.rankings.facts(),
    };
    return {
      seq: engine.appliedSeq,
      definitionsJson: JSON.stringify(this.#inForce),
      factsJson: JSON.stringify(facts),
      chunks,
    };
  }

  #sinkFacts(): Map<string, SinkFacts> {
    return new Map(
      this.#options.engine.outcomes.routes.map(({ delivery }) => [
        delivery.name,
        { cursor: delivery.cursor, pending: delivery.pending() },
      ]),
    );
  }
}

function eventsFor(log: EngineLog, engine: StreamEngine): ConstructorParameters<typeof ShardSet>[3] {
  return {
    stepFailed: (step, error) =>
      log.error({ err: error, step: step.kind }, 'a step could not be applied and is left out'),
    released: (batch) => engine.buffers.give(batch),
    threadLost: (error) => log.warn({ err: error }, 'a thread was lost; its shards are restored'),
  };
}
