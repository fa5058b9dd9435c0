/**
 * A job: one unit of work for the pool, from acceptance to its single ending: a tool call, a resource read, a prompt or a
 * completion.
 *
 * Role: the record that protocol, admission, dispatch and pool hand on. The protocol makes it and is told, through
 * `JobSink`, of exactly one ending (`completed` or `refused`), unless it cancelled the job itself: then silence.
 * The body travels as raw bytes; nobody on this thread reads arguments.
 */
import type { Arrival } from '../admission/arrival.ts';
import type { Principal } from '../catalogue/define.ts';
import type { Entry } from '../catalogue/entry.ts';
import type { Outcome } from '../observe/port.ts';
import type { Fault } from '../protocol/faults.ts';
import type { Revision } from '../protocol/revisions.ts';

/** W3C trace context headers that came with a request; members that did not come are absent. */
export interface TraceHeaders {
  traceparent?: string;
  tracestate?: string;
  baggage?: string;
}

/** Facts that travel beside the body, as JSON in the job's slot. Every member may be absent. */
export interface JobExtras {
  /** Decoded `Mcp-Name` where it is not the entry's own name (resource URIs). */
  name?: string;
  /** `Mcp-Param-*` headers of annotated parameters, lower-case name → raw value. */
  paramHeaders?: Record<string, string>;
  /** `_meta` of the body wins over it. */
  trace?: TraceHeaders;
  /** From `x-correlation-id` or `x-request-id`. */
  correlationId?: string;
  principal?: Principal;
  /** Session era: level set by `logging/setLevel`; records below it are not sent. */
  logLevel?: string;
  /** Session era: capabilities the client declared at `initialize`. */
  clientCapabilities?: object;
  /** Set when the job runs as a task: asks go to the task, not to a connection. */
  taskId?: string;
}

/** An error as JSON-RPC says it: a client's, or one for a tool. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
}

/** A question of a running tool to its client, outside the 2026-07-28 retry scheme. */
export interface Ask {
  /** Unique within the job. */
  readonly askId: number;
  /** `elicitation/create`, `sampling/createMessage`, `roots/list`. */
  readonly method: string;
  /** JSON of the params. */
  readonly paramsJson: string;
  /** Key chosen by the tool; tasks publish it under `inputRequests`. */
  readonly key: string;
}

/** How the tool wants its task announced; all in milliseconds. */
export interface TaskWish {
  readonly ttlMs: number | null;
  readonly pollIntervalMs: number;
}

/** Told about one job. Calls come on the front-end thread and must not throw. */
export interface JobSink {
  /** The JSON-RPC response, encoded, and its HTTP status. `bytes` is lent for this call only. */
  completed(job: Job, status: number, bytes: Uint8Array): void;
  /** No result: shed, timed out, worker lost, quarantined, internal. */
  refused(job: Job, fault: Fault): void;
  /** A notification for this request (progress, log), encoded. Lent for this call only. */
  emitted(job: Job, bytes: Uint8Array): void;
  asked(job: Job, ask: Ask): void;
  /** The tool goes on as a task. The sink must answer with `Dispatcher.taskStarted`. */
  becameTask(job: Job, wish: TaskWish): void;
  /** SSE polling (SEP-1699): close this connection now, the client resumes after `retryMs`. */
  releasedConnection(job: Job, retryMs: number): void;
}

/** Bits of `Job.flags`, copied into the slot. */
export const JOB_FLAG = {
  /** Headers of 2026-07-28 were present and must agree with the body (HTTP only). */
  CHECK_HEADERS: 1,
  /** The connection can carry notifications and asks. */
  CAN_STREAM: 2,
} as const;

export class Job implements Arrival {
  /** Slot in the job board while accepted, else -1. */
  slot = -1;
  /** Worker it was sent to, or -1. */
  worker = -1;
  /** Number of this assignment to a worker, or -1; messages that name another one are about something else. */
  sequence = -1;
  /** True once the sink was told or the job was cancelled. */
  settled = false;
  /** Its client was answered at the deadline while the handler goes on; the permit is given back already. */
  abandoned = false;
  /** Since it asked its client something: without its permit, or with it. */
  waits: 'no' | 'resting' | 'holding' = 'no';
  /** Set when it was repeated after a lost worker. */
  attempts = 0;
  /** It asked its client something: a repetition would ask again, and take the old answer for the new question's. */
  hasAsked = false;
  /** Highest progress its client was told; a repetition begins below it. */
  progress = Number.NEGATIVE_INFINITY;
  /** How it ended; set before `JobSink.completed`. */
  outcome: Outcome = 'ok';
  /** Monotonic milliseconds at which it was over for its client; set before `JobSink.completed`, and at its deadline. */
  endedAtMs = 0;
  /** The body, owned by the job only while it waits without a slot; null otherwise. */
  overflow: Uint8Array | null = null;

  // Admission's, as `Arrival` says.
  acceptedAtMs = 0;
  deadlineAtMs = 0;
  stage = 0;
  list: Arrival['list'] = null;
  prev: Arrival | null = null;
  next: Arrival | null = null;
  backlog: Arrival['backlog'] = null;
  older: Arrival | null = null;
  newer: Arrival | null = null;
  lane: Arrival['lane'] = null;

  readonly entry: Entry;
  readonly revision: Revision;
  readonly flags: number;
  /** The key, or who can tell it. */
  #share: string | ShareSource;
  readonly extras: JobExtras | null;
  readonly sink: JobSink;
  readonly timeoutMs: number;

  constructor(
    entry: Entry,
    revision: Revision,
    flags: number,
    share: string | ShareSource,
    extras: JobExtras | null,
    sink: JobSink,
    timeoutMs: number,
  ) {
    this.entry = entry;
    this.revision = revision;
    this.flags = flags;
    this.#share = share;
    this.extras = extras;
    this.sink = sink;
    this.timeoutMs = timeoutMs;
  }

  /** Fair-share key: principal, else session, else peer address. Found on first use: only a waiting job needs it. */
  get share(): string {
    const share = this.#share;
    if (typeof share === 'string') return share;
    this.#share = share.share();
    return this.#share;
  }
}

/** Whoever can tell a job's fair-share key. */
export interface ShareSource {
  share(): string;
}

/** What the protocol needs of the runtime's engine. */
export interface Dispatcher {
  /** Takes a job with its raw JSON-RPC request body (lent for this call). The sink hears of exactly one ending. */
  submit(job: Job, body: Uint8Array): void;
  /** The client no longer wants it: the tool sees its signal, the sink hears nothing more. */
  cancel(job: Job, reason: string): void;
  /** Answers an `Ask`: JSON of the result, or an error. */
  answer(job: Job, askId: number, resultJson: string | null, error: RpcError | null): void;
  /** The task asked for by `becameTask` exists and ends in `deadlineMs` from now; `''`: there is none, the call goes on. */
  taskStarted(job: Job, taskId: string, deadlineMs: number): void;
  /** The job's request body while the dispatcher still holds it, lent for the turn; null when it is gone. */
  bodyOf(job: Job): Uint8Array | null;
}
