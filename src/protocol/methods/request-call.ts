// HOT PATH
/**
 * One request that runs as a job, from submission to its answer.
 *
 * Role: the `JobSink` of the job and the `OpenRequest` of its transport: job events become messages on the channel.
 * A request may turn into a task (2026-07-28): it is then answered with the task, and what the job still has to say
 * belongs to the task's own sink.
 *
 *   submit ─► completed | refused ─► answered
 *        └──► becameTask ─► answered with the task ─► events go to the task's sink
 *
 * Invariants: one answer; after `cancel` none. The id is only looked for where it is needed and was not read before:
 * a job that is refused or becomes a task, from the body while it is lent or from what the dispatcher holds.
 */
import type { Ask, Job, JobExtras, JobSink, TaskWish } from '../../dispatch/job.ts';
import type { MaybePromise } from '../../sessions/port.ts';
import type { Created } from '../../tasks/port.ts';
import type { Caller, Channel, OpenRequest } from '../channel.ts';
import { encodeFault, type Fault, faultFrom, outcomeOf } from '../faults.ts';
import { idJsonForRefusal, idJsonOfBody, retryAfterMsOf, statusOf } from './answers.ts';
import type { MethodDeps } from './method-deps.ts';

/** What `Tasks.create` answers. */
const CANNOT_ASK = { code: -32603, message: 'this call has no connection that can carry questions' };

export class RequestCall implements JobSink, OpenRequest {
  readonly #deps: MethodDeps;
  readonly #method: string;
  readonly #caller: Caller;
  readonly #channel: Channel;
  #idJson: string;
  #job: Job | null = null;
  /** The request body while `submit` runs. */
  #lentBody: Uint8Array | null = null;
  #task: JobSink | null = null;
  /** Answered, or cancelled. */
  #over = false;
  #hasAsked = false;

  constructor(deps: MethodDeps, method: string, idJson: string, caller: Caller, channel: Channel) {
    this.#deps = deps;
    this.#method = method;
    this.#idJson = idJson;
    this.#caller = caller;
    this.#channel = channel;
  }

  /** Null when it was answered before this returns. */
  submit(job: Job, body: Uint8Array): OpenRequest | null {
    this.#job = job;
    this.#lentBody = body;
    this.#deps.dispatcher.submit(job, body);
    this.#lentBody = null;
    return this.#over ? null : this;
  }

  /** The same, as a task from the start: the task exists before the job does, and the job knows it. */
  submitAsTask(job: Job, extras: JobExtras, body: Uint8Array, wish: TaskWish): OpenRequest | null {
    const created = this.#createTask(job, wish, body);
    if (!(created instanceof Promise)) return this.#submitTask(job, extras, body, created);
    const kept = Uint8Array.from(body);
    created.then(
      (made) => this.#submitTask(job, extras, kept, made),
      (cause: unknown) => this.#fail(cause),
    );
    return this;
  }

  cancel(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#finish('cancelled');
    if (this.#job !== null) this.#deps.dispatcher.cancel(this.#job, reason);
  }

  completed(job: Job, status: number, bytes: Uint8Array): void {
    if (this.#task !== null) {
      this.#task.completed(job, status, bytes);
      return;
    }
    if (this.#over) return;
    this.#over = true;
    this.#finish(job.outcome, job.endedAtMs);
    this.#channel.respond(status, bytes, 0);
  }

  refused(job: Job, fault: Fault): void {
    if (this.#over) {
      this.#task?.refused(job, fault);
      return;
    }
    // A task that was refused before it was announced never was one to its client.
    if (this.#task !== null) this.#dropTask(job.extras?.taskId ?? '');
    this.#answerFault(fault);
  }

  emitted(job: Job, bytes: Uint8Array): void {
    if (this.#task !== null) this.#task.emitted(job, bytes);
    else if (!this.#over) this.#channel.send(bytes);
  }

  asked(job: Job, ask: Ask): void {
    if (this.#task !== null) {
      this.#task.asked(job, ask);
      return;
    }
    if (this.#over) return;
    const { asks } = this.#caller;
    if (asks === null) {
      this.#deps.dispatcher.answer(job, ask.askId, null, CANNOT_ASK);
      return;
    }
    this.#hasAsked = true;
    const question = asks.open(job, ask);
    if (question !== '') this.#channel.send(question);
  }

  becameTask(job: Job, wish: TaskWish): void {
    if (this.#task !== null) {
      this.#task.becameTask(job, wish);
      return;
    }
    if (this.#over) return;
    if (this.#idJson === '') this.#idJson = idJsonOfBody(this.#heldBody());
    if (this.#idJson === '') {
      // Without its id the request could not be answered with the task: the call goes on as it was.
      this.#deps.dispatcher.taskStarted(job, '', 0);
      return;
    }
    const created = this.#createTask(job, wish, this.#heldBody());
    if (!(created instanceof Promise)) {
      this.#turnIntoTask(job, created);
      return;
    }
    created.then(
      (made) => this.#turnIntoTask(job, made),
      (cause: unknown) => {
        this.#deps.log.error({ err: cause }, 'a task could not be created');
        this.#deps.dispatcher.taskStarted(job, '', 0);
      },
    );
  }

  releasedConnection(job: Job, retryMs: number): void {
    if (this.#task !== null) this.#task.releasedConnection(job, retryMs);
    else if (!this.#over) this.#channel.release(retryMs);
  }

  #createTask(job: Job, wish: TaskWish, body: Uint8Array | null): MaybePromise<Created> {
    return this.#deps.tasks.create(job, this.#caller.principal?.id ?? null, wish, body);
  }

  #submitTask(job: Job, extras: JobExtras, body: Uint8Array, created: Created): OpenRequest | null {
    if (isFault(created)) {
      this.#answerFault(created);
      return null;
    }
    if (this.#over) {
      this.#dropTask(created.taskId);
      return null;
    }
    extras.taskId = created.taskId;
    this.#task = created.sink;
    this.submit(job, body);
    this.#announce(created.resultJson);
    return null;
  }

  #turnIntoTask(job: Job, created: Created): void {
    if (isFault(created)) {
      // The call goes on as it was.
      if (!this.#over) this.#deps.dispatcher.taskStarted(job, '', 0);
      return;
    }
    if (this.#over) {
      this.#dropTask(created.taskId);
      return;
    }
    this.#task = created.sink;
    this.#deps.dispatcher.taskStarted(job, created.taskId, this.#deps.settings.tasks.deadlineMs);
    this.#announce(created.resultJson);
  }

  #announce(resultJson: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#finish('ok');
    this.#channel.respond(200, `{"jsonrpc":"2.0","id":${this.#idJson},"result":${resultJson}}`, 0);
  }

  /** Its client has not heard of it: nobody will ever ask for it. */
  #dropTask(taskId: string): void {
    const dropped = this.#deps.tasks.drop(taskId);
    if (!(dropped instanceof Promise)) return;
    dropped.catch((cause: unknown) => this.#deps.log.error({ err: cause, taskId }, 'a task could not be forgotten'));
  }

  #fail(cause: unknown): void {
    this.#deps.log.error({ err: cause }, 'a task could not be created');
    this.#answerFault(faultFrom(cause));
  }

  #answerFault(fault: Fault): void {
    if (this.#over) return;
    this.#over = true;
    this.#finish(outcomeOf(fault.name));
    if (this.#idJson === '') this.#idJson = idJsonForRefusal(this.#heldBody());
    this.#channel.respond(
      statusOf(fault, this.#caller.revision),
      encodeFault(this.#idJson, fault),
      retryAfterMsOf(fault),
    );
  }

  #heldBody(): Uint8Array | null {
    if (this.#lentBody !== null || this.#job === null) return this.#lentBody;
    return this.#deps.dispatcher.bodyOf(this.#job);
  }

  #finish(outcome: Job['outcome'], nowMs: number = performance.now()): void {
    const job = this.#job;
    if (this.#hasAsked && job !== null) this.#caller.asks?.forget(job);
    const since = job === null ? 0 : job.acceptedAtMs;
    this.#deps.meters.requestFinished(this.#method, outcome, since === 0 ? 0 : nowMs - since);
  }
}

function isFault(created: Created): created is Fault {
  return 'message' in created;
}
