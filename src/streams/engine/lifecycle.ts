/**
 * Start, checkpoints, changes of the plan, stop: the engine's life beside its work.
 *
 * Role: a start is "newest good checkpoint, then the log after it, through the same pipeline"; a checkpoint is a barrier
 * and a copy; a new plan is a record of the log like any other, so that a replay changes it at the same place.
 * A start puts its declaration in force, with what was defined at run time beside it (`defined.ts`), and says what lost
 * its state by it.
 * Invariants: the log is cut only up to the oldest checkpoint that is kept; a checkpoint holds what sinks have not taken.
 */
import { CHECKPOINTS_KEPT, type Checkpoint, type CheckpointStore, type CheckpointToSave } from '../checkpoints/port.ts';
import { compatibility, IS_NEW } from '../define/compatibility.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { type LoggedRecord, LogUnavailable } from '../log/port.ts';
import type { Plan } from '../plan.ts';
import type { Facts, SinkFacts } from './checkpoint-facts.ts';
import { definedBeside, type InForce, mergeDefined, ofBefore } from './defined.ts';
import type { EngineLog, StreamEngine } from './engine.ts';
import { StreamBook } from './intake/books.ts';
import { type DefineOutcome, StreamRefusal } from './port.ts';
import { letGo } from './removed-operators.ts';
import { carryOver } from './shards/carry-over.ts';
import { chunksOf, groupsAnew, imagesFrom, isOfShard, operatorName, shapesOf, shared } from './shards/image-chunks.ts';
import { createShard, type ShardParts } from './shards/shard.ts';
import { eventsFor } from './shards/shard-events.ts';
import { ShardSet } from './shards/shard-set.ts';
import { memoryBytesMax } from './spill/shard-residence.ts';
import { filesOf, storeBuffer } from './spill/spill-file.ts';
import type { SpillFolder } from './spill/spill-folder.ts';
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

export class Lifecycle {
  #inForce: InForce = { definitions: [], defined: [] };
  #declared: readonly StreamDefinition[] = [];
  readonly #options: LifecycleOptions;
  /** Keys are where they are: this stays, whatever is configured, for as long as there is a checkpoint. */
  #shards: number;
  #saving: Promise<void> | null = null;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#shards = options.shards;
  }

  get inForce(): InForce {
    return this.#inForce;
  }

  get definitions(): readonly StreamDefinition[] {
    return this.#inForce.definitions;
  }

  get declared(): readonly StreamDefinition[] {
    return this.#declared;
  }

  /**
   * Resolves when the state is what the log says and the definitions are in force, with what was defined beside them.
   * Rejects when the engine breaks or is stopped meanwhile.
   */
  async start(definitions: readonly StreamDefinition[], declared = definitions): Promise<void> {
    this.#declared = declared;
    const { engine, log, store } = this.#options;
    engine.outcomes.replaying = true;
    await engine.leftOut.restore();
    const checkpoint = store === null ? null : await this.#restoreNewest(store, definitions);
    const from = checkpoint ?? 0;
    let replayed = 0;
    for await (const logged of engine.parts.eventLog.read(from)) {
      engine.checkStarting();
      await this.#replay(logged);
      replayed += 1;
    }
    await engine.pipeline.idle();
    engine.checkStarting();
    if (replayed > 0 || checkpoint !== null) log.info({ checkpoint: from, replayed }, 'streams restored');
    engine.outcomes.replaying = false;
    // How much state there is: a stream that is full is so from the first batch.
    if (checkpoint !== null) await engine.shards.round([], Number.POSITIVE_INFINITY);
    await engine.passOverLost(() => this.#makeRoom());
    for (const book of engine.books) book.observe({ kind: 'restarted' }, engine.parts.monotonic());
    await this.#declare(definitions);
    engine.checkStarting();
    engine.state = 'running';
  }

  async #declare(definitions: readonly StreamDefinition[]): Promise<void> {
    const { log } = this.#options;
    const before = this.#inForce;
    const given = { definitions, defined: definedBeside(this.#declared, definitions) };
    const merged = mergeDefined(given, before, (all) => this.planOf(all));
    for (const facts of merged.leftOut) log.warn(facts, 'what was defined at run time is not in force any more');
    if (JSON.stringify(merged.definitions) === JSON.stringify(before.definitions)) {
      this.#inForce = { definitions: merged.definitions, defined: merged.defined };
      return;
    }
    const { operators } = await this.putInForce(merged).catch(async (error: unknown) => {
      if (!(error instanceof LogUnavailable)) throw error;
      await this.#makeRoom();
      return this.putInForce(merged);
    });
    for (const { kept, name, why } of operators) {
      if (!kept && why !== IS_NEW) log.warn({ operator: name, why }, 'the definition has changed: its state is gone');
    }
  }

  /** The log is full: it is cut up to the oldest checkpoint that is kept. */
  async #makeRoom(): Promise<void> {
    for (let saved = 0; saved < CHECKPOINTS_KEPT; saved++) await this.checkpoint();
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
    if (facts.shards !== shards)
      log.warn({ shards, saved: facts.shards }, 'the number of shards is that of the saved state');
    this.#shards = facts.shards;
    const plan = compile(this.definitions, engine.plan.epoch + 1, facts.shards);
    const anew = groupsAnew(plan, facts.shapes);
    for (const [group, why] of anew) {
      const operators = plan.operators.filter((each) => each.group === group).map((each) => operatorName(plan, each));
      log.warn({ operators, why }, 'state of an earlier version cannot be read; it starts empty');
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
    await prepare(this.definitions, plan, new Map(Object.entries(facts.sinks))).catch(ofBefore);
    const chunkOf = (name: string): Uint8Array | StoredBuffer | undefined =>
      stored.get(name) ?? checkpoint.chunks.get(name);
    const images = imagesFrom(plan, chunkOf, watermarks, { groups: anew, fresh });
    this.#use(plan, images, facts.incarnation + 1, books);
    for (const [name, retained] of engine.outcomes.retained) {
      const bytes = checkpoint.chunks.get(`retained/${name}`);
      if (bytes !== undefined) retained.restore(bytes);
    }
    engine.outcomes.rankings.restore(facts.rankings);
    engine.outcomes.evictions.restore(facts.evictions);
    engine.outcomes.alerts.restore(facts.alerts);
    engine.missed.restore(facts.missed);
    engine.appliedSeq = checkpoint.seq;
  }

  async #replay({ record, seq }: LoggedRecord): Promise<void> {
    const { engine, log } = this.#options;
    const durable = Promise.resolve();
    const failed = (error: unknown): void => {
      // When the start is over, all that follow fail with it. What is kept as a dead letter has been told.
      if (engine.state !== 'starting' || (error instanceof StreamRefusal && error.isKept)) return;
      log.error({ err: error, seq }, 'a record of the log could not be applied again');
    };
    if (record.kind === 'tick') engine.tick(record, seq, durable);
    else if (record.kind === 'time') engine.enterTime(record, seq, durable).catch(failed);
    else if (record.kind === 'plan') {
      await engine.pipeline.idle();
      engine.checkStarting();
      await this.#change(JSON.parse(record.definitionsJson) as InForce, seq).catch(ofBefore);
      engine.appliedSeq = seq;
    } else {
      const book = engine.books.find(({ plan }) => plan.name === record.stream);
      if (book === undefined) return;
      engine.enter(book, record, seq, durable).catch(failed);
      if (book.pendingBytes > book.plan.pendingBytesMax) await engine.pipeline.idle();
    }
  }

  /** Under the number that the next plan in force has. Throws `DefinitionProblem`. */
  planOf(definitions: readonly StreamDefinition[]): Plan {
    const { compile, engine } = this.#options;
    return compile(definitions, engine.plan.epoch + 1, this.#shards);
  }

  /** Everything in the log before their record is applied first. Rejects with `DefinitionProblem`, changing nothing. */
  async putInForce({ defined, definitions }: InForce): Promise<DefineOutcome> {
    const { engine, log } = this.#options;
    const next = { definitions, defined };
    const plan = this.planOf(definitions);
    const { pipeline, planGate } = engine;
    planGate.close();
    let outcome: DefineOutcome;
    try {
      await pipeline.idle();
      outcome = await pipeline.barrier(async () => {
        const seq = await this.#logPlan(next, plan);
        const changed = await this.#change(next, seq);
        engine.appliedSeq = seq;
        return changed;
      });
    } finally {
      planGate.open();
    }
    await this.checkpoint().catch((error: unknown) => {
      // It is in force all the same, and in the log.
      if (engine.state !== 'stopped') log.error({ err: error }, 'the checkpoint of a definition could not be saved');
    });
    return outcome;
  }

  /** What cannot be prepared must not be in the log: every replay would fail at it. */
  async #logPlan(next: InForce, plan: Plan): Promise<number> {
    const { engine, planUsed, prepare } = this.#options;
    const facts = this.#sinkFacts();
    await prepare(next.definitions, plan, facts);
    try {
      const record = { kind: 'plan', definitionsJson: JSON.stringify(next) } as const;
      const { durable, seq } = engine.writer.append(record);
      await durable;
      return seq;
    } catch (error) {
      await prepare(this.definitions, engine.plan, facts);
      planUsed();
      throw error;
    }
  }

  /** Between rounds; `seq`: its record. */
  async #change(next: InForce, seq: number): Promise<DefineOutcome> {
    const { definitions } = next;
    const { compile, engine, prepare, shardParts } = this.#options;
    const before = engine.plan;
    const plan = compile(definitions, before.epoch + 1, this.#shards);
    await prepare(definitions, plan, this.#sinkFacts());
    const verdicts = compatibility(before, plan);
    const kept = new Set(verdicts.filter((each) => each.kept).map((each) => each.operator));
    await letGo(engine, plan, kept, seq);
    const fresh = (shard: number): HeldShard => createShard(shard, plan, shardParts, 0);
    const images = carryOver(before, plan, kept, { shards: engine.shards.images, fresh });
    const books = plan.streams.map((stream) => {
      const known = engine.books.find((book) => book.plan.name === stream.name);
      if (known === undefined) return new StreamBook(stream, seq);
      known.usePlan(stream, seq);
      return known;
    });
    this.#inForce = next;
    engine.outcomes.keep(kept);
    this.#use(plan, images, engine.shards.incarnation + 1, books);
    return { operators: verdicts.map(({ operator, kept: keeps, why }) => ({ name: operator, kept: keeps, why })) };
  }

  #use(plan: Plan, images: readonly HeldShard[], incarnation: number, books: StreamBook[]): void {
    const { engine, folder, log, planUsed, shardParts } = this.#options;
    const { threads } = engine.parts;
    threads.usePlan(plan);
    const events = eventsFor(log, engine);
    engine.usePlan(plan, books, new ShardSet(plan, shardParts, threads, events, images, incarnation, folder));
    planUsed();
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
      return engine.leftOut.forget(engine.appliedSeq);
    }
    try {
      await engine.writer.settled();
      await store.save(checkpoint);
    } finally {
      checkpoint.release();
    }
    // Ended meanwhile: the stores may be closed.
    if (engine.pipeline.stopped) return;
    const oldest = store.oldestSeq();
    await engine.parts.eventLog.truncate(oldest);
    await engine.leftOut.forget(oldest);
  }

  /** `release`: it is saved, or never will be. */
  #capture(): CheckpointToSave & { release(): void } {
    const { engine, folder } = this.#options;
    const base = engine.shards.pinBase();
    const others = new Map<string, Uint8Array>();
    for (const [name, retained] of engine.outcomes.retained) others.set(`retained/${name}`, retained.toBytes());
    for (const { dedup, plan } of engine.books) {
      if (dedup !== null) others.set(`dedup/${plan.name}`, new Uint8Array(dedup.slice(0)));
    }
    const unpin = folder.pin(base.held.flatMap(filesOf));
    const facts: Facts = {
      shards: engine.plan.shards,
      shapes: shapesOf(engine.plan),
      incarnation: engine.shards.incarnation,
      books: Object.fromEntries(engine.books.map((book) => [book.plan.name, book.facts()])),
      missed: engine.missed.facts(),
      sinks: Object.fromEntries(this.#sinkFacts()),
      alerts: engine.outcomes.alerts.facts(),
      rankings: engine.outcomes.rankings.facts(),
      evictions: engine.outcomes.evictions.facts(),
    };
    return {
      seq: engine.appliedSeq,
      definitionsJson: JSON.stringify(this.#inForce),
      factsJson: JSON.stringify(facts),
      chunks: allOf(chunksOf(engine.plan, base.held), others),
      release: () => {
        base.release();
        unpin();
      },
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
