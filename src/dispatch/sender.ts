// HOT PATH
/**
 * Decides which worker runs which job, and what travels together.
 *
 * Role: adaptive batching. Jobs expected to be cheap go into the mailbox of the fullest worker with room while sockets
 * are still being read, and one message sends for that worker; where a mailbox will not do (a body too large for its slot,
 * a catalogue the worker has not answered for), they share one task per worker and tick, up to a small sum of expected
 * times. Expensive or unknown ones go to a worker that has nothing left to run, by mailbox if one will do. What fits
 * nowhere waits in `ready`, which holds only jobs that have their permit; while something waits there, nothing overtakes
 * it by mailbox. An isolated job needs a worker with nothing on it; while there is none, one worker at a time is set aside
 * for it and empties, as long as another takes what comes meanwhile.
 * Why the bounds: a task costs about 18 µs, a message a third of it, so BATCH_US of work makes it cheap; PIPE_US is what
 * a job may have to wait behind others on a worker, and keeps one batch on the way while another runs. Waiting with all
 * that a turn brings until its end left a core idle while the worker ran: sent for after CALL_US, it runs while the rest
 * is read.
 */
import type { ServiceTimes } from '../admission/service-times.ts';
import type { Catalogue, CatalogueHolder, Entry, Manifest, ManifestEntry } from '../catalogue/entry.ts';
import type { Meters } from '../observe/port.ts';
import type { Batch, ControlIn, OverflowBody, OverflowResult, WorkerPool } from '../pool/port.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import type { Job } from './job.ts';
import type { Mailbox } from './mailbox.ts';

/** A job expected to block longer does not share. */
export const SHARED_US_MAX = 500;
const BATCH_US = 400;
const PIPE_US = 1500;
/** Work that has gathered in a mailbox before its worker is sent for in the middle of a turn. */
const CALL_US = 60;
const LOOK: ControlIn = { type: 'look' };
/** What an entry never seen before is charged, so that nothing is put behind it. */
const UNKNOWN_US = 20_000;

export interface SenderPorts {
  readonly pool: WorkerPool;
  readonly flights: Flights;
  readonly times: ServiceTimes;
  readonly catalogue: CatalogueHolder;
  readonly meters: Meters;
  readonly now: () => number;
  /** False: each job has a task of its own, whatever it costs. */
  readonly batching: boolean;
  /** All synchronous jobs of a batch have run. */
  readonly batchDone: (
    load: WorkerLoad,
    slots: readonly number[],
    sequences: readonly number[],
    overflow: readonly OverflowResult[] | null,
  ) => void;
}

export class Sender {
  /** Jobs with a permit and no worker yet, oldest first. */
  readonly ready: Job[] = [];
  readonly #ports: SenderPorts;
  /** Blocking time the workers can still take, and what `ready` would use of it. */
  #spareUs = 0;
  #plannedUs = 0;
  /** Whose mailbox is being filled. */
  #box: WorkerLoad | null = null;
  #target: WorkerLoad | null = null;
  #targetUs = 0;

  constructor(ports: SenderPorts) {
    this.#ports = ports;
  }

  /** More jobs would only wait here, past the fair queue's turn. */
  get saturated(): boolean {
    return this.#plannedUs >= this.#spareUs;
  }

  /** Takes a job with its permit. */
  add(job: Job, nowMs: number): void {
    if (this.ready.length === 0 && this.#mayPost(job) && this.#post(job, nowMs)) return;
    this.ready.push(job);
    this.#plannedUs += this.#claim(job);
  }

  /** Cheap or not: into a mailbox goes what shares a worker and fits its slot. */
  #mayPost(job: Job): boolean {
    return this.#ports.batching && job.entry.run === 'pool' && job.overflow === null;
  }

  /** Puts a cheap job into a mailbox at once: its worker starts while the sockets are still being read. */
  #post(job: Job, nowMs: number): boolean {
    const expectedUs = this.#ports.times.expectedUs(job.entry.key);
    if (expectedUs > SHARED_US_MAX) return false;
    const { catalogue, flights, meters } = this.#ports;
    let load = this.#box;
    // Its thread may have been lost since.
    const isLive = load !== null && flights.loads[load.worker.index] === load && this.#open(load);
    if (load === null || !isLive || load.expectedUs + expectedUs > PIPE_US) {
      load = this.#fullest(expectedUs);
      this.#box = load;
    }
    if (load === null || load.epochHeard !== catalogue.current.epoch) return false;
    const mailbox = flights.board.mailbox(load.worker.index);
    if (!mailbox.hasRoom()) return false;
    flights.assign(job, load, expectedUs, nowMs);
    meters.queueWaited(nowMs - job.acceptedAtMs);
    mailbox.put(job.slot, job.sequence);
    this.#spareUs -= expectedUs;
    mailbox.waitingUs += expectedUs;
    if (mailbox.waitingUs >= CALL_US) this.#call(load, mailbox);
    return true;
  }

  /** Sends for the worker if nobody has. */
  #call(load: WorkerLoad, mailbox: Mailbox): void {
    mailbox.waitingUs = 0;
    if (mailbox.mustCall()) this.#ports.pool.post(load.worker, LOOK);
  }

  /** An expensive or unknown job needs a whole worker; an isolated one waits for its own and holds up nobody. */
  #claim(job: Job): number {
    if (job.entry.run === 'isolated') return 0;
    return Math.min(PIPE_US, this.#ports.times.expectedUs(job.entry.key));
  }

  /** Measures what the workers can take; after each change of their loads. */
  survey(): void {
    this.#spareUs = 0;
    this.#plannedUs = 0;
    for (const load of this.#ports.flights.loads) {
      if (this.#open(load)) this.#spareUs += Math.max(0, PIPE_US - load.expectedUs);
    }
    for (const job of this.ready) this.#plannedUs += this.#claim(job);
  }

  /** Hands out what can be handed out. */
  flush(): void {
    const ready = this.ready;
    if (ready.length > 0) this.#handOut(ready);
    const { flights } = this.#ports;
    for (let i = 0; i < flights.loads.length; i++) {
      const load = flights.loads[i] as WorkerLoad | null;
      if (load !== null) this.#call(load, flights.board.mailbox(i));
    }
    this.survey();
  }

  #handOut(ready: Job[]): void {
    const nowMs = this.#ports.now();
    let kept = 0;
    this.#target = null;
    for (let i = 0; i < ready.length; i++) {
      const job = ready[i] as Job;
      if (job.settled) {
        if (job.entry.run === 'isolated') this.#unreserve(job);
        continue;
      }
      if (!this.#hand(job, nowMs)) ready[kept++] = job;
    }
    ready.length = kept;
    for (const load of this.#ports.flights.loads) {
      if (load !== null && load.outbox.length > 0) this.#send(load);
    }
  }

  #hand(job: Job, nowMs: number): boolean {
    const observed = this.#ports.times.expectedUs(job.entry.key);
    const known = observed <= SHARED_US_MAX;
    const isolated = job.entry.run === 'isolated';
    const load = isolated ? this.#ownLoad(job) : known ? this.#sharedLoad(observed) : this.#idleLoad();
    if (load === null) return false;
    const expectedUs = Number.isFinite(observed) ? observed : UNKNOWN_US;
    if (load === this.#target) this.#targetUs += expectedUs;
    this.#ports.flights.assign(job, load, expectedUs, nowMs);
    this.#ports.meters.queueWaited(nowMs - job.acceptedAtMs);
    // The worker is sent for once all are handed out.
    if (this.#mayPost(job) && this.#takesPost(load))
      this.#ports.flights.board.mailbox(load.worker.index).put(job.slot, job.sequence);
    else load.outbox.push(job);
    if (!this.#ports.batching) this.#send(load);
    return true;
  }

  /** It has answered for what is served now, and has room. */
  #takesPost(load: WorkerLoad): boolean {
    const { catalogue, flights } = this.#ports;
    return load.epochHeard === catalogue.current.epoch && flights.board.mailbox(load.worker.index).hasRoom();
  }

  /** The worker of this tick's batch while it has room, else the fullest one that has. */
  #sharedLoad(expectedUs: number): WorkerLoad | null {
    const target = this.#target;
    if (target !== null && this.#targetUs + expectedUs <= BATCH_US && target.expectedUs + expectedUs <= PIPE_US)
      return target;
    this.#target = this.#fullest(expectedUs);
    this.#targetUs = 0;
    return this.#target;
  }

  /** Few awake threads with full batches cost less than many with small ones, and leave the others to expensive calls. */
  #fullest(expectedUs: number): WorkerLoad | null {
    let best: WorkerLoad | null = null;
    for (const load of this.#ports.flights.loads) {
      if (!this.#open(load) || (load.expectedUs > 0 && load.expectedUs + expectedUs > PIPE_US)) continue;
      if (best === null || load.expectedUs > best.expectedUs) best = load;
    }
    return best;
  }

  /** A worker with nothing left to run; what waits on it costs it nothing. */
  #idleLoad(): WorkerLoad | null {
    let best: WorkerLoad | null = null;
    for (const load of this.#ports.flights.loads) {
      if (!this.#open(load) || load.expectedUs > 0) continue;
      if (best === null || load.jobs < best.jobs) best = load;
    }
    return best;
  }

  /** The worker of an isolated job once nothing is left on it; until then it is set aside. */
  #ownLoad(job: Job): WorkerLoad | null {
    let best: WorkerLoad | null = null;
    let open = 0;
    for (const load of this.#ports.flights.loads) {
      if (load === null) continue;
      if (load.reservedFor === job) return this.#emptied(load);
      // One worker empties at a time; those that run their isolated job are not waited for.
      if (load.reservedFor !== null && load.reservedFor.worker === -1) return null;
      if (!this.#open(load)) continue;
      open += 1;
      if (best === null || load.jobs < best.jobs) best = load;
    }
    if (best === null || (best.jobs > 0 && open === 1 && this.#ports.pool.size > 1)) return null;
    best.reservedFor = job;
    return this.#emptied(best);
  }

  #emptied(load: WorkerLoad): WorkerLoad | null {
    if (load.retiring !== '' || load.jobs > load.abandoned) return null;
    if (load.jobs === 0) return load;
    // Handlers that ignored their deadline would keep it occupied for ever: a new one takes its place.
    load.retire('isolated', this.#ports.now());
    return null;
  }

  #unreserve(job: Job): void {
    for (const load of this.#ports.flights.loads) if (load?.reservedFor === job) load.reservedFor = null;
  }

  #open(load: WorkerLoad | null): load is WorkerLoad {
    return (
      load !== null && load.retiring === '' && load.reservedFor === null && !load.stuck && load.worker.threadId !== 0
    );
  }

  #send(load: WorkerLoad): void {
    const jobs = load.outbox;
    load.outbox = [];
    const slots = new Array<number>(jobs.length);
    const sequences = new Array<number>(jobs.length);
    const overflow: OverflowBody[] = [];
    for (let i = 0; i < jobs.length; i++) {
      const job = jobs[i] as Job;
      slots[i] = job.slot;
      sequences[i] = job.sequence;
      if (job.overflow !== null) overflow.push(overflowBody(job));
    }
    const { current } = this.#ports.catalogue;
    const manifest = load.epoch === current.epoch ? null : this.#manifestOf(current);
    load.epoch = current.epoch;
    const batch: Batch = {
      worker: load.worker.index,
      slots,
      sequences,
      manifest,
      overflow: overflow.length === 0 ? null : overflow,
    };
    this.#run(load, batch);
  }

  #run(load: WorkerLoad, batch: Batch): void {
    const { epoch } = load;
    this.#ports.pool.run(load.worker, batch).then(
      (results) => {
        load.epochHeard = Math.max(load.epochHeard, epoch);
        this.#ports.batchDone(load, batch.slots, batch.sequences, results);
      },
      // The thread is gone: the pool tells `lost`, and the losses are dealt with there, once. If it is not, the call
      // was lost alone, and the next one must not be waited for in vain.
      () => this.#ports.flights.board.mailbox(load.worker.index).leave(),
    );
  }

  /** What is served now, and what jobs accepted before a swap, or before several, still need. */
  #manifestOf(current: Catalogue): Manifest {
    const { manifest } = current;
    const known = new Set(manifest.entries.map((entry) => entry.key));
    const older: ManifestEntry[] = [];
    for (const job of this.#ports.flights.jobs) {
      if (job === null || known.has(job.entry.key)) continue;
      known.add(job.entry.key);
      const entry = manifestEntry(job.entry);
      if (entry !== null) older.push(entry);
    }
    return older.length === 0 ? manifest : { epoch: manifest.epoch, entries: manifest.entries.concat(older) };
  }
}

function manifestEntry(entry: Entry): ManifestEntry | null {
  const { key, kind, name, module, paramHeaders, task } = entry;
  return module === null ? null : { key, kind, name, module, paramHeaders, task };
}

function overflowBody(job: Job): OverflowBody {
  return {
    slot: job.slot,
    body: job.overflow as Uint8Array,
    extras: job.extras === null ? '' : JSON.stringify(job.extras),
  };
}
