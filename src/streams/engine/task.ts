/**
 * What the stream engine asks of a thread: decode a batch, apply steps to shards. Structured-clonable both ways.
 *
 * Role: the seam between `engine/` on the front-end thread and `workers/stream-tasks.ts`. Tasks hold shared buffers, no
 * copies. The same function runs them in a worker or on the calling thread.
 */
import type { Piece } from '../checkpoints/manifest.ts';
import type { Provenance, StateQuery } from '../operator.ts';
import type { Plan } from '../plan.ts';
import type { MemoryImage } from '../state/memory.ts';

/**
 * How the bytes of a batch are written. `columns`: see `decode/column-format.ts`. `json-object` and `msgpack-maps`, which
 * no sender uses, are `json` and `msgpack` without an outer list: an element that is a list is no list of events.
 */
export type WireFormat =
  | 'ndjson'
  | 'json'
  | 'json-object'
  | 'msgpack'
  | 'msgpack-maps'
  | 'cloudevent'
  | 'cloudevents-batch'
  | 'columns';

export interface DecodeTask {
  readonly kind: 'decode';
  readonly epoch: number;
  readonly stream: number;
  readonly format: WireFormat;
  /** The body, in shared memory so that nobody copies it again. */
  readonly body: SharedArrayBuffer;
  /** Where it begins there. */
  readonly bodyAt: number;
  readonly bodyBytes: number;
  /** Bytes behind the body: of each of its lines the context, see `decode/line-contexts.ts`; 0 for none. */
  readonly contextBytes: number;
  /** Memory for the batch, if it is large enough; null for none. That of the body itself: it is decoded where it stands. */
  readonly spare: SharedArrayBuffer | null;
  readonly provenance: Provenance;
  /** Remembered ids of CloudEvents; null when the format has none. */
  readonly dedup: SharedArrayBuffer | null;
  /** Of events that were taken before: their ids are looked up, and none is remembered. */
  readonly looksOnly: boolean;
}

/** An event that cannot be taken. `at`, `bytes`: where it stands in the body. */
export interface Rejected {
  readonly at: number;
  readonly bytes: number;
  /** For people: names the field, the value and what was expected. */
  readonly reason: string;
}

/** A batch as rows of its keys and slices (`windows/partials.ts`), for each window of a group; null: no event counts. */
export type Partials = readonly { readonly operator: number; readonly rows: SharedArrayBuffer | null }[];

export interface DecodeResult {
  readonly batch: SharedArrayBuffer;
  /** What of its memory the batch needs. */
  readonly batchBytes: number;
  /** The batch is in the task's `spare`: of another thread it comes back as another object for the same memory. */
  readonly usesSpare: boolean;
  readonly accepted: number;
  readonly duplicates: number;
  /** How many records before this one the nearest batch stands that has ids of it; Infinity: none has. */
  readonly repeatsBack: number;
  /** It has ids that later batches of the stream took for theirs: those are to be decoded again. */
  readonly tookAway: boolean;
  readonly rejected: readonly Rejected[];
  /** Rejected ones beyond the list's bound. */
  readonly rejectedMore: number;
  /** By input of the stream (`groupInputs`): aggregated ahead, or null where the events go one by one. */
  readonly partials: readonly (Partials | null)[];
  /** Highest event time; −Infinity for none. */
  readonly tsMax: number;
  /** Time it took. */
  readonly us: number;
}

/** A batch that several engines share, each of them the keys of a partition (`decode/split.ts`). */
export interface SplitTask {
  readonly kind: 'split';
  readonly epoch: number;
  readonly stream: number;
  readonly format: WireFormat;
  readonly body: SharedArrayBuffer;
  readonly bodyBytes: number;
}

export interface SplitResult {
  /** The only partition that has events in it: the body goes there as it is; −1: `parts` are to be sent. */
  readonly only: number;
  readonly format: WireFormat;
  /** By partition; null: nothing for it. */
  readonly parts: readonly (Uint8Array | null)[];
}

export type Step =
  | {
      readonly kind: 'events';
      readonly seq: number;
      readonly stream: number;
      readonly batch: SharedArrayBuffer;
      readonly partials: readonly (Partials | null)[];
      readonly provenance: Provenance;
      /** Of the stream, before this batch. */
      readonly watermark: number;
    }
  | { readonly kind: 'advance'; readonly seq: number; readonly stream: number; readonly watermark: number }
  | { readonly kind: 'tick'; readonly seq: number; readonly nowMs: number }
  /** The whole stream is silent; by the clock its time would have come so far. */
  | { readonly kind: 'silent'; readonly seq: number; readonly stream: number; readonly timeMs: number }
  | { readonly kind: 'query'; readonly id: number; readonly operator: number; readonly query: StateQuery }
  /** How far time, of the stream or of `TICK`, may go towards `until` with so many results of each window. */
  | { readonly kind: 'reach'; readonly stream: number; readonly until: number; readonly resultsMax: number }
  /** Keys idle the longest go where the stream's state in a shard is beyond this. */
  | {
      readonly kind: 'evict';
      readonly seq: number;
      readonly stream: number;
      readonly keysMax: number;
      readonly bytesMax: number;
    }
  /** The next plan has not these operators: what they hold in what it keeps, their keys, is let go. */
  | { readonly kind: 'drop'; readonly operators: readonly number[] }
  /** Copies the shard's memory: what a checkpoint is made of. `into`: by shard, memory that nobody reads and that serves where it fits. */
  | { readonly kind: 'copy'; readonly into: readonly (HeldShard | undefined)[] };

/** Steps that look at state, and change nothing. */
export const isLook = ({ kind }: Step): boolean => kind === 'query' || kind === 'reach' || kind === 'copy';

/** A buffer that lies in a file, see `spill-file.ts`. */
export interface StoredBuffer {
  readonly file: string;
  readonly at: number;
  /** In memory. */
  readonly byteLength: number;
  readonly pieces: readonly Piece[];
}

/** As `MemoryImage`, of which any buffer may lie in a file. */
export interface HeldMemory {
  readonly generation: number;
  readonly buffers: readonly (SharedArrayBuffer | StoredBuffer)[];
}

/** A shard wherever it is: between tasks on disk, or in memory. */
export interface HeldShard {
  readonly shard: number;
  /** Changes when the memory was made, or restored, anew. */
  readonly incarnation: number;
  /** Tasks applied to this incarnation: a thread's views are good if it ran the last one itself. */
  readonly version: number;
  /** By group index. */
  readonly groups: readonly HeldMemory[];
  /** By operator index. */
  readonly operators: readonly HeldMemory[];
  /** Watermark of each stream, −Infinity before the first. */
  readonly watermarks: readonly number[];
}

/** A shard that is in memory. */
export interface ShardImage extends HeldShard {
  readonly groups: readonly MemoryImage[];
  readonly operators: readonly MemoryImage[];
}

/** A shard that the thread it goes to has kept from its own last task: only named. See `kept-shards.ts`. */
export interface KeptShard {
  readonly shard: number;
  readonly incarnation: number;
  readonly version: number;
  /** Of its memory as the other side knows it: of groups, then of operators. */
  readonly generations: readonly number[];
}

export type SentShard = HeldShard | KeptShard;

/** A shard after a task; null: memory that is in the same buffers as before. */
export interface LeftShard extends Omit<HeldShard, 'groups' | 'operators'> {
  readonly groups: readonly (HeldMemory | null)[];
  readonly operators: readonly (HeldMemory | null)[];
}

/** Where a shard is to be after its steps. */
export interface SpillOrder {
  /** A name nobody has used: files are written once. */
  readonly file: string;
  /** With larger buffers than this it goes to the file. */
  readonly bytesMax: number;
}

export interface SpillOrders {
  /** By position in the task's shards. */
  readonly shards: readonly SpillOrder[];
  /** Shards that are on disk: what a thread has kept of them is let go. */
  readonly away: readonly number[];
}

export const PROGRESS_BYTES = 8;
/** Word that counts the steps begun, those of one shard after those of the other. */
export const PROGRESS_STEPS = 0;
/** Word that counts what is read and written, when it begins and when it ends. */
export const PROGRESS_DISK = 1;

export interface ApplyTask<Shard = HeldShard> {
  readonly kind: 'apply';
  readonly epoch: number;
  readonly shards: readonly Shard[];
  /** Null: all stay in memory. */
  readonly spill: SpillOrders | null;
  readonly steps: readonly Step[];
  /** Two 32-bit words, see `PROGRESS_STEPS`. Who waits sees whether it goes on. */
  readonly progress: SharedArrayBuffer;
  /** Memory for results, this task's alone, used in this order; none when none of the last one's were long. */
  readonly rooms: readonly SharedArrayBuffer[];
  /** What it emits has been emitted already, and may be the results of many rounds: none is given. */
  readonly isRedo: boolean;
}

/** Results of one operator for one step in one shard, as NDJSON. See `result-line.ts` for a line's members. */
export interface ResultChunk {
  readonly seq: number;
  readonly operator: number;
  readonly shard: number;
  readonly output: '' | 'late' | 'timeout';
  readonly count: number;
  /** Bounds of the windows in it. */
  readonly start: number;
  readonly end: number;
  readonly lines: Uint8Array;
}

/** Shards in which a question could not be answered. */
export interface Unasked {
  readonly id: number;
  readonly shards: readonly number[];
  readonly why: string;
}

/** Of an answer's lines: a tool's result has them twice, as text and as structure. It says when lines are left out. */
export const ANSWER_CHARACTERS_MAX = 6 * 1024 * 1024;

export interface QueryRows {
  readonly id: number;
  readonly lines: readonly string[];
  /** Of each line, the value `query.by` names; 0 without. */
  readonly order: readonly number[];
  /** Lines that no room was left for are missing. */
  readonly isCut: boolean;
  /** Thread time it took. */
  readonly us: number;
}

/** State of one stream in one shard. What it shares with another stream, for a join, is of both. */
export interface Held {
  readonly keys: number;
  /** In use. */
  readonly bytes: number;
}

export interface ShardReport<Shard = HeldShard> {
  /** The shard after the steps. */
  readonly image: Shard;
  /** Why it is in memory though it should be on disk; `''` otherwise. */
  readonly notStored: string;
  /** By stream. */
  readonly held: readonly Held[];
  /** In use by all. */
  readonly bytes: number;
  /** Partial matches given up since the memory was created, by operator; 0 of what is no pattern. */
  readonly dropped: readonly number[];
  /** Late events that were dropped, keys that were let go, and results that failed, by operator. */
  readonly letGo: readonly (LateCount | EvictedCount | FailedCount)[];
  /** Made by the last `copy` step; null without one. */
  readonly copy: ShardImage | null;
  /** By the last `reach` step: a watermark, Infinity when it may go all the way; null without one. */
  readonly reach: number | null;
}

export interface LateCount {
  readonly kind: 'late';
  readonly seq: number;
  readonly operator: number;
  readonly count: number;
}

/** Keys whose state there was no room for. */
export interface EvictedCount {
  readonly kind: 'evicted';
  readonly operator: number;
  readonly count: number;
}

/** Results of a window with values that its reducers threw for. */
export interface FailedCount {
  readonly kind: 'failed';
  readonly operator: number;
  readonly count: number;
  /** Of the first one. */
  readonly why: string;
}

export interface ApplyResult<Shard = HeldShard> {
  readonly shards: readonly ShardReport<Shard>[];
  readonly results: readonly ResultChunk[];
  /** The last so many of the task's hold none of the results. */
  readonly roomsLeft: number;
  readonly queries: readonly QueryRows[];
  readonly us: number;
}

export type StreamTask<Shard = HeldShard> = DecodeTask | SplitTask | ApplyTask<Shard>;
export type StreamTaskResult<Shard = HeldShard> = DecodeResult | SplitResult | ApplyResult<Shard>;

/** The thread has not kept a shard that it is thought to have; nothing has begun. */
export class NotKept extends Error {}

/** To a worker thread: a task, or the plan that tasks will be of, which takes loading code and modules. */
export interface StreamMessage {
  /** Which of the node's engines asks: 0, or one of those that come and go. */
  readonly engine: number;
  /** A later engine of the same number has a higher one; the memory of the earlier is not gone on with. */
  readonly life: number;
  /** Sent by itself, before the first task of it. */
  readonly plan: Plan | null;
  readonly task: StreamTask<SentShard> | null;
}

/** From it: an exception of the task is a value, so that a rejection means that the thread is lost. */
export type StreamAnswer =
  | { readonly ok: true; readonly result: StreamTaskResult<LeftShard> | null }
  | {
      readonly ok: false;
      /** Senders of batches are told. */
      readonly message: string;
      /** For the log. */
      readonly stack: string;
      readonly spill: SpillTrouble | null;
      readonly isNotKept: boolean;
    };

/** What is the matter with a file that a shard was read from or written to. */
export interface SpillTrouble {
  readonly shard: number;
  /** `damaged`: it is not what was written; `unwritten`: it could not be. */
  readonly kind: 'damaged' | 'unwritten';
}

/**
 * Runs tasks: on worker threads, or on this one. Rejects with `ThreadLost` when the thread ended meanwhile, with
 * `PlanNotLoaded` or `ThreadsStopping` when no thread can begin, otherwise with what the task has thrown.
 */
export interface StreamThreads {
  /** Tasks that can run at once. */
  readonly size: number;
  usePlan(plan: Plan): void;
  decode(task: DecodeTask): Promise<DecodeResult>;
  apply(task: ApplyTask): Promise<ApplyResult>;
}

/** Threads cannot take the plan: one of its modules cannot be loaded there. No task of it has begun. */
export class PlanNotLoaded extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PlanNotLoaded';
  }
}

/** A shard that is on disk cannot be gone on with. The message names file and cause. */
export class SpillProblem extends Error {
  readonly trouble: SpillTrouble;
  constructor(message: string, trouble: SpillTrouble) {
    super(message);
    this.name = 'SpillProblem';
    this.trouble = trouble;
  }
}

export class ThreadLost extends Error {
  /** The thread was ended because this very task did not end. */
  readonly hung: boolean;
  constructor(message: string, hung = false) {
    super(message);
    this.name = 'ThreadLost';
    this.hung = hung;
  }
}

/** No task begins any more, whatever it is. */
export class ThreadsStopping extends Error {
  constructor() {
    super('the workers are stopping');
    this.name = 'ThreadsStopping';
  }
}

/** Whatever the task is, it may go well later; other failures come from it, or from the thread. */
export const mayPass = (error: unknown): boolean => error instanceof PlanNotLoaded || error instanceof ThreadsStopping;
