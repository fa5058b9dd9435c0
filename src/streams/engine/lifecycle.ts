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
import type { Checkpoint, CheckpointStore, CheckpointToSave } from '../checkpoints/port.ts';
import { compatibility, IS_NEW } from '../define/compatibility.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { LoggedRecord } from '../log/port.ts';
import type { Plan } from '../plan.ts';
import type { SinkBatch } from '../sinks/port.ts';
import { type BookFacts, StreamBook } from './books.ts';
import { carryOver } from './carry-over.ts';
import { type Defined, type InForce, mergeDefined } from './defined.ts';
import type { EngineLog, StreamEngine } from './engine.ts';
import {
  chunksOf,
  groupName,
  groupsAnew,
  imagesFrom,
  isOfShard,
  operatorName,
  shapesOf,
  shared,
} from './image-chunks.ts';
import type { DefineOutcome } from './port.ts';
import type { RankingFacts } from './rankings.ts';
import { createShard, type ShardParts } from './shard.ts';
import { memoryBytesMax } from './shard-residence.ts';
import { ShardSet } from './shard-set.ts';
import { filesOf, storeBuffer } from './spill-file.ts';
import type { SpillFolder } from './spill-folder.ts';
import type { HeldShard, StoredBuffer } from './task.ts';

export interface LifecycleOptions {
  readonly engine: StreamEngine;
  readonly shardParts: ShardParts;
  readonly store: CheckpointStore | null;
  /** Of shards that memory has no room for. */
  readonly folder: SpillFolder;
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
  /** Who makes a new base has the one before it to himself. */
  #rebased: Promise<unknown> = Promise.resolve();

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
    const checkpoint = store === null ? null : await this.#restoreNewest(store, declared);
    const from = checkpoint ?? 0;
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

  /** The record it is of; null when there is none. What memory has no room for goes to files while it is read. */
  async #restoreNewest(store: CheckpointStore, declared: readonly StreamDefinition[]): Promise<number | null> {
    const { compile, engine, folder, log } = this.#options;
    const bytesMax = memoryBytesMax(compile(declared, engine.plan.epoch + 1, this.#shards));
    const stored = new Map<string, StoredBuffer>();
    let bytes = 0;
    const checkpoint = await store.newest(
      (seq, reason) => {
        log.error({ seq, reason }, 'a damaged checkpoint is passed over');
        stored.clear();
        bytes = 0;
      },
      (name, chunk) => {
        if (!isOfShard(name)) return false;
        bytes += chunk.byteLength;
        if (bytes <= bytesMax) return false;
        stored.set(name, storeBuffer(chunk, folder.name('restored')));
        return true;
      },
    );
    if (checkpoint === null) return null;
    await this.#restore(checkpoint, stored);
    return checkpoint.seq;
  }

  async #restore(checkpoint: Checkpoint, stored: ReadonlyMap<string, StoredBuffer>): Promise<void> {
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
    const fresh = (shard: number): HeldShard => createShard(shard, plan, shardParts, 0);
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
    const chunkOf = (name: string): Uint8Array | StoredBuffer | undefined =>
      stored.get(name) ?? checkpoint.chunks.get(name);
    const images = imagesFrom(plan, chunkOf, watermarks, { groups: anew, fresh });
    this.#use(plan, images, facts.incarnation + 1, books);
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
    const { compile, engine, prepare, shardParts } = this.#options;
    const before = engine.plan;
    const plan = compile(definitions, before.epoch + 1, this.#shards);
    await prepare(definitions, plan, this.#sinkFacts());
    const verdicts = compatibility(before, plan);
    const kept = new Set(verdicts.filter((each) => each.kept).map((each) => each.operator));
    await this.#letGo(before, plan, kept);
    const fresh = (shard: number): HeldShard => createShard(shard, plan, shardParts, 0);
    const images = carryOver(before, plan, kept, { shards: engine.shards.images, fresh });
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

  #use(plan: Plan, images: readonly HeldShard[], incarnation: number, books: StreamBook[]): void {
    const { engine, folder, log, planUsed, shardParts } = this.#options;
    const { threads } = engine.parts;
    threads.usePlan(plan);
    engine.plan = plan;
    engine.books = books;
    engine.shards = new ShardSet(plan, shardParts, threads, eventsFor(log, engine), images, incarnation, folder);
    engine.outcomes.usePlan(plan);
    planUsed();
  }

  /** Saves the state as of now; one at a time. Rejects when the store cannot; the earlier checkpoints stay. */
  checkpoint(): Promise<void> {
    this.#saving ??= this.#alone(() => this.#save()).finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  /** Checkpoints are kept, and take their time: without, one is but a new base. */
  get savesState(): boolean {
    return this.#options.store !== null;
  }

  /** Lets go of the steps since the last base; nothing is saved. */
  rebase(): Promise<void> {
    const { engine } = this.#options;
    return this.#alone(() => engine.pipeline.barrier(() => engine.shards.rebase()));
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#rebased.then(work);
    this.#rebased = done.catch(() => undefined);
    return done;
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
    try {
      await store.save(checkpoint);
    } finally {
      checkpoint.release();
    }
    await engine.parts.eventLog.truncate(store.oldestSeq());
  }

  /** `release`: it is saved, or never will be. */
  #capture(): CheckpointToSave & { release(): void } {
    const { engine, folder } = this.#options;
    const { base } = engine.shards;
    const others = new Map<string, Uint8Array>();
    for (const [name, retained] of engine.outcomes.retained) others.set(`retained/${name}`, retained.toBytes());
    for (const { dedup, plan } of engine.books) {
      if (dedup !== null) others.set(`dedup/${plan.name}`, new Uint8Array(dedup.slice(0)));
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
      chunks: allOf(chunksOf(engine.plan, base), others),
      release: folder.pin(base.flatMap(filesOf)),
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

function* allOf<T>(...parts: readonly Iterable<T>[]): Generator<T> {
  for (const part of parts) yield* part;
}

function eventsFor(log: EngineLog, engine: StreamEngine): ConstructorParameters<typeof ShardSet>[3] {
  return {
    stepFailed: (step, error) =>
      log.error({ err: error, step: step.kind }, 'a step could not be applied and is left out'),
    released: (batch) => engine.buffers.give(batch),
    threadLost: (error) => log.warn({ err: error }, 'a thread was lost; its shards are restored'),
    spillDamaged: (error) => log.error({ err: error }, 'state on disk is damaged; its shard is restored'),
    notStored: (cause) => log.error({ cause }, 'state cannot be written to disk and stays in memory'),
  };
}
