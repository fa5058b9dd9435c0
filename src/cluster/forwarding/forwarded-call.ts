/**
 * One call that another node runs: sent, perhaps sent again, and ended.
 *
 *   sending to one of the nodes that offer the tool
 *     ├─ ended there ─────────────────────────────► completed │ refused
 *     ├─ not taken (unreachable, overloaded, …) ──► another node, or the refusal
 *     ├─ lost on the way, and repeatable ─────────► another node
 *     ├─ lost on the way otherwise ───────────────► `outcomeUnknown`: it must not be executed twice
 *     └─ deadline ────────────────────────────────► `timeout`
 *
 * Role: the asker's side of `call-wire.ts`; keeps the promises of `JobSink`. Every attempt after the first is paid for
 * from the retry budget of the node it is sent to, and there are at most `ATTEMPTS_MAX`. A call that has asked its client something, or has become
 * a task, is never repeated.
 */
import type { Job, RpcError } from '../../dispatch/job.ts';
import { type Fault, fault } from '../../protocol/faults.ts';
import { type PeerFrame, type PeerStream, type PeerStreamSink, PeerUnavailable } from '../peers/port.ts';
import {
  ANSWER_PATH,
  type AnswerFacts,
  askOf,
  CALL_PATH,
  type CallFacts,
  type Ending,
  EVENT,
  endingOf,
  progressOf,
  TASK_PATH,
  type TaskFacts,
  wishOf,
} from './call-wire.ts';
import type { NoNode } from './node-choice.ts';
import type { RemoteCalls } from './remote-calls.ts';

export const ATTEMPTS_MAX = 3;
/** A call that ends so soon is answered in one piece: the usual one. */
const WHOLE_MS = 25;
const RETRY_AFTER_MS = 1000;
/** Node's timers count in 32 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What one node says; nobody listens any more once it has failed or another one was asked. */
class Attempt implements PeerStreamSink {
  readonly nodeId: string;
  stream: PeerStream | null = null;
  /** Null: nobody listens. */
  call: ForwardedCall | null;

  constructor(nodeId: string, call: ForwardedCall) {
    this.nodeId = nodeId;
    this.call = call;
  }

  answered(_status: number, body: Uint8Array): void {
    this.call?.answered(body);
  }

  frame(frame: PeerFrame): void {
    this.call?.frame(frame);
  }

  ended(error: PeerUnavailable | null): void {
    this.call?.failed(error ?? new PeerUnavailable(this.nodeId, `node ${this.nodeId} ended without an answer`, true));
  }
}

export class ForwardedCall {
  readonly body: Uint8Array;
  readonly #calls: RemoteCalls;
  readonly #job: Job;
  readonly #id: string;
  readonly #tried: string[] = [];
  /** The node that is asked now. */
  #attempt: Attempt | null = null;
  #timer: NodeJS.Timeout;
  #isTask = false;
  #over = false;

  constructor(calls: RemoteCalls, job: Job, body: Uint8Array, id: string) {
    this.#calls = calls;
    this.#job = job;
    this.body = body;
    this.#id = id;
    this.#timer = this.#deadlineIn(job.timeoutMs);
  }

  begin(): void {
    const tool = this.#job.entry.name;
    const nodeId = this.#calls.options.choice.pick(tool, this.#tried, this.#runsAsTask);
    if (typeof nodeId === 'string') this.#send(nodeId);
    else this.refuse(noNodeFault(tool, nodeId));
  }

  get #runsAsTask(): boolean {
    return this.#job.extras?.taskId !== undefined;
  }

  #send(nodeId: string): void {
    const { choice, forwardMsMax, now, peers } = this.#calls.options;
    const job = this.#job;
    const attempt = new Attempt(nodeId, this);
    this.#attempt = attempt;
    this.#tried.push(nodeId);
    choice.began(nodeId, this.#tried.length > 1);
    const deadlineMs = Math.max(1, job.deadlineAtMs - now());
    const facts: CallFacts = {
      id: this.#id,
      tool: job.entry.name,
      revision: job.revision.name,
      flags: job.flags,
      share: job.share,
      deadlineMs,
      wholeMs: Math.min(WHOLE_MS, forwardMsMax / 2),
      extras: job.extras,
    };
    const timeoutMs = Math.min(forwardMsMax, deadlineMs);
    attempt.stream = peers.stream(nodeId, { path: CALL_PATH, facts, body: this.body, timeoutMs }, attempt);
  }

  answered(body: Uint8Array): void {
    if (this.#attempt !== null) this.#calls.options.choice.answered(this.#attempt.nodeId);
    if (body.length > 0) this.#ended(endingOf(body));
  }

  frame(frame: PeerFrame): void {
    const job = this.#job;
    if (frame.event === EVENT.ended) this.#ended(endingOf(Buffer.from(frame.data)));
    else if (frame.event === EVENT.log) job.sink.emitted(job, Buffer.from(frame.data));
    else if (frame.event === EVENT.progress) this.#progressed(frame.data);
    else if (frame.event === EVENT.asked) this.#asked(frame.data);
    else if (frame.event === EVENT.task) this.#becameTask(frame.data);
    else if (frame.event === EVENT.released) job.sink.releasedConnection(job, Number(frame.data));
  }

  /** Progress must rise: what a call that is repeated said the first time is not said again. */
  #progressed(data: string): void {
    const told = progressOf(data);
    const job = this.#job;
    if (told === null || told.progress <= job.progress) return;
    job.progress = told.progress;
    job.sink.emitted(job, Buffer.from(told.json));
  }

  #asked(data: string): void {
    const ask = askOf(data);
    if (ask === null) return;
    this.#job.hasAsked = true;
    this.#job.sink.asked(this.#job, ask);
  }

  #becameTask(data: string): void {
    const wish = wishOf(data);
    if (wish === null) return;
    this.#isTask = true;
    this.#job.sink.becameTask(this.#job, wish);
  }

  #ended(ending: Ending | null): void {
    const { choice, now } = this.#calls.options;
    const nodeId = this.#attempt?.nodeId ?? '';
    if (ending === null) {
      this.failed(new PeerUnavailable(nodeId, `node ${nodeId} answered what is no ending`, true));
      return;
    }
    choice.loadTold(nodeId, ending.load);
    if (ending.fault !== null) {
      this.#leaveNode('well');
      if (ending.taken || !this.#again(false)) this.refuse(ending.fault);
      return;
    }
    const job = this.#job;
    this.#settle('well');
    job.outcome = ending.outcome;
    job.endedAtMs = now();
    job.sink.completed(job, ending.status, ending.bytes);
  }

  /** The node is not there, or broke off. */
  failed(error: PeerUnavailable): void {
    const { log } = this.#calls.options;
    const tool = this.#job.entry.name;
    this.#leaveNode('failed');
    const repeated = this.#again(error.maybeDone);
    log.warn({ err: error, node: error.nodeId, tool, repeated }, 'a forwarded call has failed');
    if (!repeated) this.refuse(error.maybeDone ? lostFault(tool, error.nodeId) : unreachableFault(tool, error.nodeId));
  }

  /** Sends it to another node, if it may be and there is one. */
  #again(maybeDone: boolean): boolean {
    const job = this.#job;
    const { choice, now } = this.#calls.options;
    if (this.#tried.length >= ATTEMPTS_MAX || now() >= job.deadlineAtMs) return false;
    if (this.#isTask || (maybeDone && (!job.entry.repeatable || job.hasAsked))) return false;
    const nodeId = choice.pickAgain(job.entry.name, this.#tried, this.#runsAsTask);
    if (nodeId === null) return false;
    job.attempts += 1;
    this.#calls.retries += 1;
    this.#send(nodeId);
    return true;
  }

  answer(askId: number, resultJson: string | null, error: RpcError | null): void {
    const facts: AnswerFacts = { id: this.#id, askId, error };
    this.#tell(ANSWER_PATH, facts, resultJson ?? '');
  }

  taskStarted(taskId: string, deadlineMs: number): void {
    const job = this.#job;
    if (taskId === '') this.#isTask = false;
    else {
      job.deadlineAtMs = this.#calls.options.now() + deadlineMs;
      clearTimeout(this.#timer);
      this.#timer = this.#deadlineIn(deadlineMs);
    }
    const facts: TaskFacts = { id: this.#id, taskId, deadlineMs };
    this.#tell(TASK_PATH, facts, '');
  }

  /** A call whose node cannot be told what it waits for would wait for ever. */
  #tell(path: string, facts: object, body: string): void {
    const { forwardMsMax, peers } = this.#calls.options;
    const attempt = this.#attempt;
    if (attempt === null) return;
    const { nodeId } = attempt;
    peers.ask(nodeId, { path, facts, body, timeoutMs: forwardMsMax }).catch((error: unknown) => {
      if (attempt !== this.#attempt) return;
      const message = error instanceof PeerUnavailable ? error.message : `node ${nodeId} could not be told`;
      this.failed(new PeerUnavailable(nodeId, message, true, error));
    });
  }

  cancel(): void {
    if (!this.#over) this.#settle('dropped');
  }

  refuse(f: Fault): void {
    if (this.#over) return;
    this.#settle('dropped');
    this.#job.sink.refused(this.#job, f);
  }

  #deadlineIn(deadlineMs: number): NodeJS.Timeout {
    const job = this.#job;
    return setTimeout(
      () => {
        const where = this.#attempt === null ? '' : ` on node ${this.#attempt.nodeId}`;
        const message = `tool ${job.entry.name} did not finish within ${Math.round(deadlineMs)} ms${where}`;
        this.refuse(fault('timeout', message));
      },
      Math.min(deadlineMs, TIMER_MS_MAX),
    );
  }

  /** Gives the place at the node back, if there is one. */
  #leaveNode(how: 'well' | 'failed' | 'dropped'): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    this.#attempt = null;
    attempt.call = null;
    // What has ended well ends by itself, and its connection is kept.
    if (how !== 'well') attempt.stream?.cancel();
    this.#calls.options.choice.ended(attempt.nodeId, how);
  }

  #settle(how: 'well' | 'dropped'): void {
    this.#over = true;
    this.#job.settled = true;
    clearTimeout(this.#timer);
    this.#leaveNode(how);
    this.#calls.over(this.#job);
  }
}

function noNodeFault(tool: string, none: NoNode): Fault {
  if (none.why === 'open') {
    const message = `the nodes that run tool ${tool} cannot be reached right now`;
    return fault('unavailable', message, { tool, retryAfterMs: Math.max(1, Math.ceil(none.waitMs)) });
  }
  return fault('unavailable', `no node of the cluster runs tool ${tool} right now`, {
    tool,
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function unreachableFault(tool: string, node: string): Fault {
  return fault('unavailable', `node ${node}, which runs tool ${tool}, cannot be reached`, {
    tool,
    node,
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function lostFault(tool: string, node: string): Fault {
  return fault('outcomeUnknown', `node ${node}, which ran tool ${tool}, was lost: whether it took effect is unknown`, {
    tool,
    node,
  });
}
