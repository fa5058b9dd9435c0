// HOT PATH
/**
 * The dispatcher: takes jobs from the protocol, asks admission, places them on the board, hands them to workers, and
 * tells each job's sink its one ending.
 *
 * Role: the only owner of a job between `submit` and its ending. Admission decides whether and when, the sender where,
 * the supervisor what to do about time, `losses.ts` about lost workers; `delivery.ts` finds the results.
 * Invariants: each accepted job is released exactly once, to admission and to the board, whatever happens to it; its
 * sink hears of one ending, or of none when it was cancelled.
 */
import { Buffer } from 'node:buffer';
import type { Admission, Decision, Ending } from '../admission/admission.ts';
import type { ServiceTimes } from '../admission/service-times.ts';
import type { Log, Meters } from '../observe/port.ts';
import type { ControlIn, ControlOut, OverflowResult, WorkerPool } from '../pool/port.ts';
import { type Fault, fault, overloadFault } from '../protocol/faults.ts';
import type { Bus } from '../subscriptions/port.ts';
import { type Deferred, deferred } from '../waiting.ts';
import type { CallerThread } from './caller-thread.ts';
import { Delivery } from './delivery.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import { InlinePlaces } from './inline-places.ts';
import type { Dispatcher, Job, RpcError } from './job.ts';
import { CANCEL } from './job-board.ts';
import { type Quarantine, quarantineFault } from './quarantine.ts';
import type { Sender } from './sender.ts';
import { logFromTool } from './tool-log.ts';
import { TOO_MANY, Waits } from './waits.ts';

export interface DispatcherPorts {
  readonly admission: Admission<Job>;
  readonly times: ServiceTimes;
  readonly flights: Flights;
  readonly pool: WorkerPool;
  readonly sender: Sender;
  readonly caller: CallerThread;
  /** Header index of the front-end thread on the board. */
  readonly callerIndex: number;
  readonly quarantine: Quarantine;
  readonly bus: Bus;
  readonly log: Log;
  readonly meters: Meters;
  readonly now: () => number;
  /** Work has arrived: the supervisor starts its timer if it stands still. */
  readonly wake: () => void;
  /** A thread's heap is past its limit. */
  readonly full: (load: WorkerLoad | null) => void;
  /** A worker says that something was left behind on it. */
  readonly stray: (load: WorkerLoad | null, message: Extract<ControlOut, { type: 'stray' }>) => void;
  readonly inlineMax: number;
  /** Of `Waits`. */
  readonly restingMax: number;
  /** What a call has to run when its entry says nothing else. */
  readonly requestTimeoutMs: number;
  /** Calls have what they can of the workers, whose states may have changed before. */
  readonly pumped: () => void;
}

export class JobDispatcher implements Dispatcher {
  readonly #ports: DispatcherPorts;
  readonly #delivery: Delivery;
  readonly #inline: InlinePlaces;
  readonly #waits: Waits;
  readonly #flush: () => void;
  #flushPlanned = false;
  #draining = false;
  /** A tool says that what is kept of another one's results is out of date. */
  onForget: ((tool: string) => void) | null = null;
  /** The body being submitted, while its sink may be refused in the same turn. */
  #lentJob: Job | null = null;
  #lentBody: Uint8Array | null = null;
  #idle: Deferred<void> | null = null;

  constructor(ports: DispatcherPorts) {
    this.#ports = ports;
    this.#inline = new InlinePlaces(ports.inlineMax);
    this.#waits = new Waits(ports.admission, this.#inline, ports.restingMax);
    this.#delivery = new Delivery(ports, (job, nowMs) => this.free(job, 'success', nowMs));
    this.#flush = () => {
      this.#flushPlanned = false;
      this.#delivery.sweep();
      this.pump();
    };
  }

  get active(): number {
    return this.#ports.flights.count;
  }

  submit(job: Job, body: Uint8Array): void {
    const { admission, quarantine, now } = this.#ports;
    const nowMs = now();
    this.#lentJob = job;
    this.#lentBody = body;
    this.#ports.wake();
    const quarantinedMs = quarantine.remainingMs(job.entry.key, nowMs);
    if (this.#draining)
      this.#refuseNew(job, fault('draining', 'the server is shutting down', { retryAfterMs: 1000 }), 'draining');
    else if (quarantinedMs > 0) this.refuse(job, quarantineFault(job, quarantinedMs));
    else if (job.entry.run === 'inline') this.#runInline(job, body, nowMs);
    else this.#admit(job, body, admission.arrive(job, nowMs), nowMs);
    this.#lentJob = null;
    this.#lentBody = null;
  }

  #admit(job: Job, body: Uint8Array, decision: Decision, nowMs: number): void {
    const { admission, flights, sender } = this.#ports;
    if (decision === 'shed') {
      this.#refuseNew(job, overloadFault('the server is at capacity', admission.retryAfterMs(nowMs)), 'queue-full');
      return;
    }
    if (decision === 'evict') this.#evict(nowMs);
    if (!flights.place(job, body)) throw new Error('no free slot for an admitted job');
    if (decision === 'run') {
      sender.add(job, nowMs);
      admission.held = sender.saturated;
      this.#planFlush();
    } else if (decision === 'caller-runs') this.#runAsCaller(job, nowMs);
  }

  /** After this turn's sockets have been read: everything they brought leaves together. */
  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setImmediate(this.#flush);
  }

  #evict(nowMs: number): void {
    const victim = this.#ports.admission.takeEvicted();
    if (victim === null) return;
    this.#ports.meters.shed('share');
    this.refuse(victim, overloadFault('the server is at capacity', this.#ports.admission.retryAfterMs(nowMs)));
    this.release(victim);
  }

  #runAsCaller(job: Job, nowMs: number): void {
    this.#runHere(job, nowMs);
    const spentMs = this.#ports.now() - nowMs;
    this.#ports.admission.callerBudget.charge(spentMs, this.#ports.now());
    this.#ports.meters.callerRan(spentMs);
  }

  #runInline(job: Job, body: Uint8Array, nowMs: number): void {
    const { callerIndex, flights, inlineMax } = this.#ports;
    // Handlers that ignored their deadline cannot be ended on this thread: they count until they settle.
    const abandoned = flights.loads[callerIndex]?.abandoned ?? 0;
    if (this.#inline.full || abandoned >= inlineMax || !flights.place(job, body)) {
      this.#refuseNew(job, overloadFault('too many inline calls are running', 1000), 'limit');
      return;
    }
    this.#inline.take();
    job.acceptedAtMs = nowMs;
    job.deadlineAtMs = nowMs + job.timeoutMs;
    this.#runHere(job, nowMs);
  }

  #runHere(job: Job, nowMs: number): void {
    const { flights, caller, callerIndex } = this.#ports;
    flights.assign(job, flights.loads[callerIndex] as WorkerLoad, 0, nowMs);
    const { done, overflow } = caller.run(job);
    if (done) this.#delivery.deliver(job, overflow?.bytes ?? null, this.#ports.now());
  }

  #refuseNew(job: Job, f: Fault, reason: 'queue-full' | 'draining' | 'limit'): void {
    this.#ports.meters.shed(reason);
    this.refuse(job, f);
  }

  /** Tells the sink, once. The job keeps what it holds. */
  refuse(job: Job, f: Fault): void {
    if (job.settled) return;
    job.settled = true;
    job.sink.refused(job, f);
  }

  /** Gives back everything a job holds. */
  free(job: Job, ending: Ending, nowMs = this.#ports.now()): void {
    const { admission } = this.#ports;
    const isWithout = job.waits === 'resting';
    this.#waits.end(job);
    if (job.abandoned) this.#ports.flights.forgive(job);
    else if (job.entry.run === 'inline') {
      if (!isWithout) this.#inline.give();
    } else if (!isWithout && !admission.cancel(job)) admission.release(job, ending, nowMs);
    this.release(job);
  }

  /** Gives back the slot of a job that admission knows no longer. */
  release(job: Job): void {
    this.#ports.flights.release(job);
    this.#tellIdle();
  }

  /**
   * The client was told at the deadline and the handler still waits for something: its permit goes to another job,
   * the slot stays its own until it settles or its worker is replaced.
   */
  abandon(job: Job): void {
    const { admission, callerIndex, flights, now } = this.#ports;
    const inline = job.entry.run === 'inline';
    // Run by the caller: it holds no permit, and those that never end must not make room for more of them.
    if (!inline && job.worker === callerIndex) return;
    if (job.waits !== 'resting') {
      if (inline) this.#inline.give();
      else admission.release(job, 'dropped', now());
    }
    this.#waits.end(job);
    job.abandoned = true;
    const load = flights.loads[job.worker];
    if (load !== null && load !== undefined) load.abandoned += 1;
    this.#tellIdle();
  }

  /** See `Delivery.conclude`. */
  conclude(job: Job, load: WorkerLoad): boolean {
    return this.#delivery.conclude(job, load, this.#ports.now());
  }

  /**
   * All synchronous jobs of a batch have run; what is still RUNNING waits for something. Jobs that were taken back
   * meanwhile have another sequence number, wherever they are now.
   */
  batchDone(
    load: WorkerLoad,
    slots: readonly number[],
    sequences: readonly number[],
    overflow: readonly OverflowResult[] | null,
  ): void {
    const { flights, meters, now } = this.#ports;
    const nowMs = now();
    load.stuck = false;
    if (overflow !== null) {
      this.#delivery.catchUp(load);
      this.#delivery.large(overflow, nowMs);
    }
    for (let i = 0; i < slots.length; i++) this.#delivery.ran(load, slots[i] as number, sequences[i] as number, nowMs);
    this.#delivery.sweep();
    const ran = slots.length + flights.board.mailbox(load.worker.index).countSeen();
    if (ran > 0) meters.batchSent(ran);
    this.pump();
  }

  /** Lets waiting jobs in as far as permits and workers allow, and hands out what is ready. */
  pump(): void {
    const { admission, sender, now } = this.#ports;
    sender.flush();
    admission.held = sender.saturated;
    const nowMs = now();
    let added = false;
    for (let job = admission.next(nowMs); job !== null; job = admission.next(nowMs)) {
      sender.add(job, nowMs);
      admission.held = sender.saturated;
      added = true;
    }
    if (added) {
      sender.flush();
      admission.held = sender.saturated;
    }
    this.#ports.pumped();
  }

  cancel(job: Job, reason: string): void {
    if (job.settled) return;
    job.settled = true;
    const { flights, now, requestTimeoutMs } = this.#ports;
    if (job.slot === -1) return;
    if (this.#freeUnstarted(job)) {
      this.#planFlush();
      return;
    }
    // A task may have hours; one that nobody wants has as long to stop as any call has to run.
    job.deadlineAtMs = Math.min(job.deadlineAtMs, now() + (job.entry.timeoutMs || requestTimeoutMs));
    flights.board.cancel(job.slot, CANCEL.CLIENT);
    this.post(job, { type: 'cancel', slot: job.slot, sequence: job.sequence, reason });
  }

  /** Of a job that is settled: true when it had not started, and holds nothing any more. */
  #freeUnstarted(job: Job): boolean {
    if (job.worker !== -1 && !this.#ports.flights.board.takeBack(job.slot)) return false;
    this.free(job, 'ignore');
    return true;
  }

  answer(job: Job, askId: number, resultJson: string | null, error: RpcError | null): void {
    if (job.slot === -1 || job.worker === -1) return;
    this.#waits.answered(job);
    this.post(job, { type: 'answer', slot: job.slot, sequence: job.sequence, askId, resultJson, error });
  }

  taskStarted(job: Job, taskId: string, deadlineMs: number): void {
    if (job.slot === -1) return;
    if (taskId !== '' && !job.settled) job.deadlineAtMs = this.#ports.now() + deadlineMs;
    if (job.worker === -1) return;
    this.post(job, { type: 'task', slot: job.slot, sequence: job.sequence, taskId });
  }

  bodyOf(job: Job): Uint8Array | null {
    if (this.#lentJob === job) return this.#lentBody;
    return this.#ports.flights.bodyOf(job);
  }

  post(job: Job, message: ControlIn): void {
    const { caller, callerIndex, flights, pool } = this.#ports;
    if (job.worker === callerIndex) caller.post(message);
    else {
      const load = flights.loads[job.worker];
      if (load !== null && load !== undefined) pool.post(load.worker, message);
    }
  }

  /** What a worker, or the front-end thread's own runner, has to say. */
  control(load: WorkerLoad | null, message: ControlOut): void {
    const { bus, flights, full, log, stray } = this.#ports;
    if (message.type === 'looked') this.#looked(load, message.overflow);
    else if (message.type === 'done') this.#settled(load, message);
    else if (message.type === 'publish') bus.publish(message.change);
    else if (message.type === 'forget') this.onForget?.(message.tool);
    else if (message.type === 'stray') stray(load, message);
    else if (message.type === 'full') full(load);
    else if (message.type === 'log') logFromTool(log, message);
    else {
      const job = flights.named(message.slot, message.sequence);
      if (job !== null && !job.settled) this.#event(job, message);
    }
  }

  #event(job: Job, message: Extract<ControlOut, { sequence: number }>): void {
    if (message.type === 'emit') this.#emitted(job, message);
    else if (message.type === 'ask') {
      if (!this.#waits.begin(job, this.#ports.now())) {
        this.answer(job, message.askId, null, TOO_MANY);
        return;
      }
      job.hasAsked = true;
      if (job.waits === 'resting') this.#planFlush();
      job.sink.asked(job, message);
    } else if (message.type === 'task') job.sink.becameTask(job, message);
    else job.sink.releasedConnection(job, message.retryMs);
  }

  /** Progress must rise: what a call that is repeated said the first time is not said again. */
  #emitted(job: Job, message: Extract<ControlOut, { type: 'emit' }>): void {
    if (message.progress !== null) {
      if (message.progress <= job.progress) return;
      job.progress = message.progress;
    }
    job.sink.emitted(job, Buffer.from(message.message));
  }

  /** A worker has gone through its mailbox. It may be heard of while results are being looked for, hence the flush. */
  #looked(load: WorkerLoad | null, overflow: readonly OverflowResult[] | null): void {
    const { flights, meters, now } = this.#ports;
    if (load !== null) {
      load.stuck = false;
      const ran = flights.board.mailbox(load.worker.index).countSeen();
      if (ran > 0) meters.batchSent(ran);
    }
    if (overflow !== null) this.#delivery.large(overflow, now());
    this.#planFlush();
  }

  #settled(load: WorkerLoad | null, message: Extract<ControlOut, { type: 'done' }>): void {
    if (load !== null) load.stuck = false;
    this.#delivery.settled(message, this.#ports.now());
    this.#planFlush();
  }

  /** Jobs whose clients wait for something still. */
  get #awaited(): number {
    let abandoned = 0;
    for (const load of this.#ports.flights.loads) abandoned += load?.abandoned ?? 0;
    return this.active - abandoned;
  }

  /** Resolves when no client waits; new jobs are still served meanwhile. */
  idle(): Promise<void> {
    if (this.#awaited === 0) return Promise.resolve();
    this.#idle ??= deferred();
    return this.#idle.promise;
  }

  #tellIdle(): void {
    if (this.#idle === null || this.#awaited > 0) return;
    this.#idle.resolve();
    this.#idle = null;
  }

  /** The end of patience: new jobs are refused, and those that are here; of these none starts any more. */
  stop(): void {
    this.#draining = true;
    const f = fault('draining', 'the server is shutting down', { retryAfterMs: 1000 });
    for (const job of this.#ports.flights.jobs) {
      if (job === null) continue;
      this.refuse(job, f);
      if (job.slot !== -1) this.#freeUnstarted(job);
    }
    this.#planFlush();
  }
}
