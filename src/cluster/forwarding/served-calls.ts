/**
 * The calls that this node runs for clients of other nodes.
 *
 * Role: the other side of `call-wire.ts`: makes a job of what another node sent, submits it to this node's own
 * dispatcher, and tells what happens to it. A call is never handed on: a tool that this node does not run is refused, so
 * that two nodes which each think the other runs it do not send it back and forth.
 * Bounds: those of admission, which sees these calls as it sees its own clients' ones.
 */
import type { CatalogueHolder } from '../../catalogue/entry.ts';
import { type Ask, type Dispatcher, Job, type JobSink, type TaskWish } from '../../dispatch/job.ts';
import { type Fault, fault } from '../../protocol/faults.ts';
import { revisionNamed } from '../../protocol/revisions.ts';
import type { PeerCall, PeerMessage, PeerReply, Peers } from '../peers/port.ts';
import {
  ANSWER_PATH,
  answerFacts,
  CALL_PATH,
  type CallFacts,
  callFacts,
  completedHead,
  EVENT,
  refusedHead,
  TASK_PATH,
  taskFacts,
} from './call-wire.ts';

const RETRY_AFTER_MS = 1000;

export interface ServedCallsOptions {
  readonly peers: Peers;
  readonly catalogue: CatalogueHolder;
  /** This node's own: it forwards nothing. */
  readonly dispatcher: Dispatcher;
  /** Calls in flight and waiting. */
  readonly load: () => number;
}

export class ServedCalls {
  readonly options: ServedCallsOptions;
  /** By asker and its id of the call. */
  readonly #calls = new Map<string, ServedCall>();

  constructor(options: ServedCallsOptions) {
    this.options = options;
  }

  get size(): number {
    return this.#calls.size;
  }

  start(): void {
    const { peers } = this.options;
    peers.serve(CALL_PATH, (message, reply) => this.#call(message, reply));
    peers.serve(ANSWER_PATH, (message, reply) => this.#answer(message, reply));
    peers.serve(TASK_PATH, (message, reply) => this.#task(message, reply));
  }

  #call(message: PeerMessage, reply: PeerReply): PeerCall | null {
    const facts = callFacts(message.facts);
    const revision = facts === null ? undefined : revisionNamed(facts.revision);
    const entry = facts === null ? undefined : this.options.catalogue.current.tool(facts.tool);
    if (facts === null || revision === undefined || entry === undefined || entry.run === 'remote') {
      const tool = facts?.tool ?? '';
      const f = fault('unavailable', `the node that was asked does not run tool ${tool}`, {
        tool,
        retryAfterMs: RETRY_AFTER_MS,
      });
      reply.send(200, refusedHead(f, false, this.options.load()));
      return null;
    }
    const key = `${message.from} ${facts.id}`;
    const call = new ServedCall(this, key, facts, reply);
    const job = new Job(entry, revision, facts.flags, facts.share, facts.extras, call, facts.deadlineMs);
    this.#calls.set(key, call);
    call.submit(job, message.body);
    return call;
  }

  #answer(message: PeerMessage, reply: PeerReply): null {
    const facts = answerFacts(message.facts);
    const job = facts === null ? undefined : this.#calls.get(`${message.from} ${facts.id}`)?.job;
    reply.send(job === undefined ? 404 : 200, '');
    if (facts === null || job === undefined || job === null) return null;
    const json = Buffer.from(message.body).toString('utf8');
    this.options.dispatcher.answer(job, facts.askId, facts.error === null ? json : null, facts.error);
    return null;
  }

  #task(message: PeerMessage, reply: PeerReply): null {
    const facts = taskFacts(message.facts);
    const job = facts === null ? undefined : this.#calls.get(`${message.from} ${facts.id}`)?.job;
    reply.send(job === undefined ? 404 : 200, '');
    if (facts === null || job === undefined || job === null) return null;
    this.options.dispatcher.taskStarted(job, facts.taskId, facts.deadlineMs);
    return null;
  }

  /** An asker that was started anew counts from the beginning: the number may be that of a later call by now. */
  over(key: string, call: ServedCall): void {
    if (this.#calls.get(key) === call) this.#calls.delete(key);
  }
}

type Frames = ReturnType<PeerReply['openFrames']>;

class ServedCall implements JobSink, PeerCall {
  job: Job | null = null;
  readonly #calls: ServedCalls;
  readonly #key: string;
  readonly #facts: CallFacts;
  readonly #reply: PeerReply;
  #frames: Frames | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** While `submit` runs: a refusal then comes before the tool does. */
  #submitting = true;
  #over = false;
  /** Highest progress told. */
  #progress = Number.NEGATIVE_INFINITY;

  constructor(calls: ServedCalls, key: string, facts: CallFacts, reply: PeerReply) {
    this.#calls = calls;
    this.#key = key;
    this.#facts = facts;
    this.#reply = reply;
  }

  submit(job: Job, body: Uint8Array): void {
    this.job = job;
    this.#calls.options.dispatcher.submit(job, body);
    this.#submitting = false;
    // So that the asker knows in time that the call was taken.
    if (!this.#over) this.#timer = setTimeout(() => this.#open(), this.#facts.wholeMs);
  }

  completed(job: Job, status: number, bytes: Uint8Array): void {
    const head = completedHead(status, job.outcome, this.#calls.options.load());
    const response = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#frames === null) this.#reply.send(200, Buffer.concat([Buffer.from(head), response]));
    else this.#frames.write({ event: EVENT.ended, data: head + response.toString('utf8') });
    this.#end();
  }

  refused(_job: Job, f: Fault): void {
    // Whoever was shed from the queue had not begun.
    const taken = !this.#submitting && f.name !== 'overloaded';
    const head = refusedHead(f, taken, this.#calls.options.load());
    if (this.#frames === null) this.#reply.send(200, head);
    else this.#frames.write({ event: EVENT.ended, data: head });
    this.#end();
  }

  emitted(job: Job, bytes: Uint8Array): void {
    const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    if (job.progress > this.#progress) {
      this.#progress = job.progress;
      this.#open().write({ event: EVENT.progress, data: `${job.progress} ${json}` });
    } else this.#open().write({ event: EVENT.log, data: json });
  }

  asked(_job: Job, ask: Ask): void {
    const { askId, key, method, paramsJson } = ask;
    this.#open().write({ event: EVENT.asked, data: JSON.stringify({ askId, key, method, paramsJson }) });
  }

  becameTask(_job: Job, wish: TaskWish): void {
    const { pollIntervalMs, ttlMs } = wish;
    this.#open().write({ event: EVENT.task, data: JSON.stringify({ ttlMs, pollIntervalMs }) });
  }

  releasedConnection(_job: Job, retryMs: number): void {
    this.#open().write({ event: EVENT.released, data: String(retryMs) });
  }

  /** The asker cancelled, or is gone. */
  aborted(): void {
    if (this.#over) return;
    const { job } = this;
    this.#finish();
    if (job !== null) this.#calls.options.dispatcher.cancel(job, 'the node that asked cancelled the call');
  }

  #open(): Frames {
    this.#frames ??= this.#reply.openFrames();
    return this.#frames;
  }

  #end(): void {
    this.#frames?.end();
    this.#finish();
  }

  #finish(): void {
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#calls.over(this.#key, this);
  }
}
