// HOT PATH
/**
 * From slots that are DONE to sinks that are told: the way back of every job.
 *
 * Role: finds results where they can be seen (in a mailbox the worker has gone through, in a batch that was answered,
 * in an announcement), and hands each to its job's sink in the turn in which it is seen. Results are seen in shared
 * memory before the messages that were posted ahead of them: those are heard first.
 * Invariants: a job is named by slot and sequence number, so that what is said of an older assignment ends nothing;
 * everything a job holds is given back right after its sink was told.
 */
import type { ServiceTimes } from '../admission/service-times.ts';
import type { ControlOut, OverflowResult, WorkerPool } from '../pool/port.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import type { Job } from './job.ts';
import { OUTCOMES, STATE } from './job-board.ts';
import type { Mailbox } from './mailbox.ts';

export interface DeliveryPorts {
  readonly times: ServiceTimes;
  readonly flights: Flights;
  readonly pool: WorkerPool;
  readonly now: () => number;
}

export class Delivery {
  readonly #ports: DeliveryPorts;
  readonly #free: (job: Job, nowMs: number) => void;

  /** `free` gives back what a job that was delivered holds. */
  constructor(ports: DeliveryPorts, free: (job: Job, nowMs: number) => void) {
    this.#ports = ports;
    this.#free = free;
  }

  /**
   * Delivers a job on a worker if it is DONE and its result is on the board. What the worker said before it finished
   * is heard first; that may have been the ending itself.
   */
  conclude(job: Job, load: WorkerLoad, nowMs: number): boolean {
    const { board } = this.#ports.flights;
    const { sequence, slot } = job;
    if (board.state(slot) !== STATE.DONE) return false;
    this.catchUp(load);
    if (job.sequence !== sequence) return true;
    if (board.resultBytes(slot) === -1) return false;
    this.deliver(job, null, nowMs);
    return true;
  }

  /** A DONE job: its answer goes out, its slot comes back. `large` is a result that did not fit. */
  deliver(job: Job, large: Uint8Array | null, nowMs: number): void {
    const { flights, times } = this.#ports;
    const { board } = flights;
    const { slot } = job;
    const blockingUs = board.blockingUs(slot);
    if (blockingUs >= 0) times.observe(job.entry.key, blockingUs, board.wallUs(slot));
    const outcome = OUTCOMES[board.outcome(slot)] ?? 'internal';
    if (job.entry.run === 'isolated') flights.loads[job.worker]?.retire('isolated', nowMs);
    if (!job.settled) {
      job.settled = true;
      job.outcome = outcome === 'input-required' ? 'ok' : outcome;
      job.endedAtMs = nowMs;
      job.sink.completed(job, board.status(slot), large ?? board.result(slot));
    }
    this.#free(job, nowMs);
  }

  /** What the worker said before it finished a job is heard before the job's ending is told. */
  catchUp(load: WorkerLoad): void {
    const { flights, pool } = this.#ports;
    const posted = flights.board.posted(load.worker.index);
    if (posted === load.heard) return;
    load.heard = posted;
    pool.catchUp(load.worker, posted);
  }

  /** What workers have taken from their mailboxes, until they have nothing more to show. */
  sweep(): void {
    const { flights } = this.#ports;
    for (let i = 0; i < flights.loads.length; i++) {
      const load = flights.loads[i] as WorkerLoad | null;
      if (load !== null) this.#sweepOne(load, flights.board.mailbox(i));
    }
  }

  #sweepOne(load: WorkerLoad, mailbox: Mailbox): void {
    for (let count = mailbox.unseen(); count > 0; count = mailbox.unseen()) {
      const nowMs = this.#ports.now();
      for (let i = 0; i < count; i++) {
        const slot = mailbox.slotSeen();
        const sequence = mailbox.sequenceSeen();
        mailbox.see();
        this.ran(load, slot, sequence, nowMs);
      }
    }
  }

  /** The synchronous part of this assignment has run, if it was not taken back: it is DONE, or it only waits now. */
  ran(load: WorkerLoad, slot: number, sequence: number, nowMs: number): void {
    const { flights } = this.#ports;
    const job = flights.named(slot, sequence);
    if (job === null || this.conclude(job, load, nowMs)) return;
    if (flights.board.state(job.slot) === STATE.RUNNING) flights.discharge(job);
  }

  /** Results that did not fit their slots. */
  large(results: readonly OverflowResult[], nowMs: number): void {
    const { flights } = this.#ports;
    for (let i = 0; i < results.length; i++) {
      const { bytes, sequence, slot } = results[i] as OverflowResult;
      const job = flights.named(slot, sequence);
      if (job !== null && flights.board.state(slot) === STATE.DONE) this.deliver(job, bytes, nowMs);
    }
  }

  /** Jobs that were pending and have ended. */
  settled(message: Extract<ControlOut, { type: 'done' }>, nowMs: number): void {
    const { flights } = this.#ports;
    this.large(message.overflow, nowMs);
    for (let i = 0; i < message.slots.length; i++) {
      const job = flights.named(message.slots[i] as number, message.sequences[i] as number);
      if (job === null || flights.board.state(job.slot) !== STATE.DONE) continue;
      if (flights.board.resultBytes(job.slot) !== -1) this.deliver(job, null, nowMs);
    }
  }
}
