/**
 * Calls of tools that declare `cache`: answered from kept results, and one flight per key for those that are not.
 *
 *   call ─► kept: answered        ─► flight of the key: rides along        ─► else leads a flight of its own
 *
 * One flight on this node: when the results are shared, the look for one takes as long as another node makes the call.
 *
 * Role: stands before the tool, beside the dispatcher. What counts for the key are tool, canonical arguments, mirrored
 * headers, revision and, for a private result, its owner: the principal, without one the session. A private result of
 * a stateless call that nobody signed is not kept, since an address is not a person. Only whole results are kept: no
 * `isError`, no questions, no task. A round that answers questions is never served from here.
 * Invariants: each call has one answer, under its own id, within its own time: while a flight looks it is watched here,
 * and when it makes a call that has the rest of it. A call that goes away ends the flight only if nobody else rides
 * along. Each look that found nothing ends with `set` or `release`. Results whose tool was invalidated while they were
 * computed are not kept, and answer nobody who came after that.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { Log } from '../observe/port.ts';
import { canonicalJson, digestOf } from '../protocol/canonical-json.ts';
import type { Caller, CallRun, Channel, JsonObject, OpenRequest, RequestEnvelope } from '../protocol/channel.ts';
import { encodeFault, FAULTS, type Fault, fault, faultFrom } from '../protocol/faults.ts';
import { Flight, Rider } from './flight.ts';
import { keepableResult } from './keepable-result.ts';
import type { CachedResult, ResultCache } from './port.ts';

/** Flights at once; a call beyond them is made as if its tool declared nothing. */
export const FLIGHTS_MAX = 10_000;
/** Calls that wait for one flight. */
export const RIDERS_MAX = 1_000;

export interface CachedCallsOptions {
  readonly results: ResultCache;
  /** Part of every key: results of another version of the server are not served. */
  readonly version: string;
  /** False: nothing is kept, and nothing is waited for. */
  readonly enabled: boolean;
  /** Of a tool that names none. */
  readonly timeoutMs: number;
  /** A call was answered without being made; null: with a result. */
  readonly answered: (fault: Fault | null) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Pick<Log, 'error'>;
}

export class CachedCalls {
  readonly #options: CachedCallsOptions;
  readonly #flights = new Map<string, Flight>();

  constructor(options: CachedCallsOptions) {
    this.#options = options;
  }

  /** Calls that wait for the answer of another one. */
  get waiting(): number {
    let waiting = 0;
    for (const flight of this.#flights.values()) waiting += flight.riders.length;
    return waiting;
  }

  /** `envelope` can be kept and has its id; `params` are parsed. Null when it was answered before this returns. */
  call(
    entry: Entry,
    caller: Caller,
    envelope: RequestEnvelope,
    params: JsonObject,
    channel: Channel,
    run: CallRun,
  ): OpenRequest | null {
    const key = this.#keyOf(entry, caller, envelope, params);
    if (key === '') return run(entry, caller, envelope, channel, 0);
    const { now, results, timeoutMs } = this.#options;
    const rider = new Rider(caller, envelope, now(), channel, this);
    const flight = this.#flights.get(key);
    if (flight !== undefined && !this.#isOutdated(flight)) {
      if (flight.riders.length >= RIDERS_MAX) return run(entry, caller, envelope, channel, 0);
      return flight.board(rider);
    }
    // It goes on for those who came before the invalidation.
    if (flight !== undefined) this.#end(flight);
    const found = results.get(entry.name, key);
    if (found !== undefined && !(found instanceof Promise)) return this.#hit(rider, found);
    if (this.#flights.size >= FLIGHTS_MAX) {
      results.release(key);
      return run(entry, caller, envelope, channel, 0);
    }
    const begun = new Flight(key, entry, run, entry.timeoutMs === 0 ? timeoutMs : entry.timeoutMs, this);
    this.#flights.set(key, begun);
    begun.board(rider);
    if (found !== undefined) {
      this.#watch(begun);
      // Never rejects, by the port.
      void found.then((result) => this.#looked(begun, result));
      return rider;
    }
    this.#lead(begun);
    return rider.over ? null : rider;
  }

  /** Forgets what is kept of a tool, here and on other nodes. */
  invalidate(tool: string): void {
    this.#options.results.invalidate(tool);
  }

  /** The rider's client does not want it any more. */
  left(rider: Rider, reason: string): void {
    const { flight } = rider;
    if (flight === null || !flight.leave(rider)) return;
    this.#end(flight);
    flight.open?.cancel(reason);
  }

  /** The leading call was answered. `message` is lent. */
  landed(flight: Flight, status: number, message: Uint8Array | string, retryAfterMs: number): void {
    const text = typeof message === 'string' ? message : Buffer.from(message).toString('utf8');
    const result = keepableResult(status, text);
    const leader = flight.takeLeader();
    if (leader !== null && !leader.over) leader.respond(status, message, retryAfterMs);
    if (result.kind === 'whole') {
      const { entry, generation, key } = flight;
      const { results } = this.#options;
      if (this.#forget(flight)) results.set(entry.name, key, result.resultJson, entry.cacheTtlMs, generation);
      for (const rider of flight.takeRiders()) this.#answer(rider, result.resultJson);
      return;
    }
    flight.failures += 1;
    if (result.kind === 'failed' && flight.failures === 1 && flight.riders.length > 0) {
      this.#lead(flight);
      return;
    }
    this.#end(flight);
    this.#answerLate(flight);
    for (const rider of flight.takeRiders()) this.#alone(flight, rider);
  }

  /** Without a result for others. */
  #end(flight: Flight): void {
    flight.stopTimer();
    if (this.#forget(flight)) this.#options.results.release(flight.key);
  }

  /** False: another one has its place. */
  #forget(flight: Flight): boolean {
    return this.#flights.get(flight.key) === flight && this.#flights.delete(flight.key);
  }

  /** What it computes was invalidated: nothing for who comes now. */
  #isOutdated(flight: Flight): boolean {
    return flight.leader !== null && flight.generation !== this.#options.results.generation(flight.entry.name);
  }

  #watch(flight: Flight): void {
    const leftMs = Math.max(1, Math.ceil(flight.endsAtMs - this.#options.now()));
    flight.timer = setTimeout(() => {
      this.#answerLate(flight);
      if (flight.riders.length > 0) this.#watch(flight);
      else this.#end(flight);
    }, leftMs);
  }

  /** Those whose time is over, the first ones since they came in that order, do not wait any longer. */
  #answerLate(flight: Flight): void {
    const { answered, now } = this.#options;
    while (flight.riders.length > 0 && flight.endsAtMs <= now()) {
      const late = timeoutFault(flight);
      const rider = flight.nextRider();
      answered(late);
      rider.respond(FAULTS.timeout.status, encodeFault(rider.envelope.idJson, late), 0);
    }
  }

  #looked(flight: Flight, found: CachedResult | undefined): void {
    // Everybody has gone meanwhile.
    if (this.#flights.get(flight.key) !== flight) return;
    flight.stopTimer();
    if (found === undefined) {
      this.#lead(flight);
      return;
    }
    this.#forget(flight);
    for (const rider of flight.takeRiders()) this.#answer(rider, found.resultJson);
  }

  /** The rider that came first makes the call, in the time that is left to it. */
  #lead(flight: Flight): void {
    this.#answerLate(flight);
    if (flight.riders.length === 0) {
      this.#end(flight);
      return;
    }
    flight.generation = this.#options.results.generation(flight.entry.name);
    const leader = flight.nextLeader();
    try {
      const open = flight.run(flight.entry, leader.caller, leader.envelope, flight, this.#waitedMs(flight, leader));
      if (flight.leader === leader) flight.open = open;
    } catch (cause) {
      this.#options.log.error({ err: cause, tool: flight.entry.name }, 'a call failed');
      flight.respond(200, encodeFault(leader.envelope.idJson, faultFrom(cause)), 0);
    }
  }

  #alone(flight: Flight, rider: Rider): void {
    try {
      rider.open = flight.run(flight.entry, rider.caller, rider.envelope, rider, this.#waitedMs(flight, rider));
    } catch (cause) {
      this.#options.log.error({ err: cause, tool: flight.entry.name }, 'a call failed');
      rider.respond(200, encodeFault(rider.envelope.idJson, faultFrom(cause)), 0);
    }
  }

  #waitedMs(flight: Flight, rider: Rider): number {
    return Math.min(flight.timeoutMs - 1, Math.floor(this.#options.now() - rider.arrivedAtMs));
  }

  #hit(rider: Rider, found: CachedResult): null {
    this.#answer(rider, found.resultJson);
    return null;
  }

  #answer(rider: Rider, resultJson: string): void {
    this.#options.answered(null);
    rider.respond(200, `{"jsonrpc":"2.0","id":${rider.envelope.idJson},"result":${resultJson}}`, 0);
  }

  /** `''`: nothing may be kept of this call. */
  #keyOf(entry: Entry, caller: Caller, envelope: RequestEnvelope, params: JsonObject): string {
    if (!this.#options.enabled || 'inputResponses' in params || 'requestState' in params) return '';
    let owner = '';
    if (entry.cacheScope === 'private') {
      if (caller.principal !== null) owner = `principal ${caller.principal.id}`;
      else if (caller.session !== null) owner = `session ${caller.session.id}`;
      else return '';
    }
    const { paramHeaders } = envelope;
    return digestOf(
      this.#options.version,
      entry.name,
      caller.revision.name,
      owner,
      canonicalJson(params['arguments'] ?? null),
      // Checked against the arguments where the tool runs: only what was found to agree is found again.
      paramHeaders === null ? '' : canonicalJson(paramHeaders),
    );
  }
}

function timeoutFault({ entry, timeoutMs }: Flight): Fault {
  return fault(
    'timeout',
    `tool ${entry.name} did not finish within ${timeoutMs} ms: the deadline passed while an identical call ran`,
  );
}
