/**
 * One call that several callers wait for, and one of those callers.
 *
 * Role: a flight looks for a result first, which may take as long as the call takes another node, and then makes the
 * call, unless there was one. The leader's messages pass through it to the leader alone; the answer goes to `landed`.
 * A rider is the `OpenRequest` of its transport, and its `Channel` when it has to make the call by itself after all.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { Caller, CallRun, Channel, OpenRequest, RequestEnvelope } from '../protocol/channel.ts';

export interface FlightOwner {
  landed(flight: Flight, status: number, message: Uint8Array | string, retryAfterMs: number): void;
}

export interface RiderOwner {
  left(rider: Rider, reason: string): void;
}

export class Rider implements OpenRequest, Channel {
  readonly caller: Caller;
  readonly envelope: RequestEnvelope;
  /** Monotonic milliseconds. */
  readonly arrivedAtMs: number;
  readonly #channel: Channel;
  readonly #owner: RiderOwner;
  flight: Flight | null = null;
  /** Its own call, once it is alone. */
  open: OpenRequest | null = null;
  /** Answered, or gone. */
  over = false;

  constructor(caller: Caller, envelope: RequestEnvelope, arrivedAtMs: number, channel: Channel, owner: RiderOwner) {
    this.caller = caller;
    this.envelope = envelope;
    this.arrivedAtMs = arrivedAtMs;
    this.#channel = channel;
    this.#owner = owner;
  }

  get canStream(): boolean {
    return this.#channel.canStream;
  }

  get congested(): boolean {
    return this.#channel.congested;
  }

  get onDrain(): (() => void) | null {
    return this.#channel.onDrain;
  }

  set onDrain(listener: (() => void) | null) {
    this.#channel.onDrain = listener;
  }

  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void {
    if (this.over) return;
    this.over = true;
    this.flight = null;
    this.#channel.respond(status, message, retryAfterMs);
  }

  send(message: Uint8Array | string): void {
    if (!this.over) this.#channel.send(message);
  }

  release(retryMs: number): void {
    if (!this.over) this.#channel.release(retryMs);
  }

  cancel(reason: string): void {
    if (this.over) return;
    this.over = true;
    if (this.flight === null) this.open?.cancel(reason);
    else this.#owner.left(this, reason);
  }
}

export class Flight implements Channel {
  readonly key: string;
  readonly entry: Entry;
  readonly run: CallRun;
  /** Of each of its calls. */
  readonly timeoutMs: number;
  readonly #owner: FlightOwner;
  /** Who made the call; still it when it has gone while others wait. */
  leader: Rider | null = null;
  /** Waiting, in order of arrival, without the leader. */
  riders: Rider[] = [];
  open: OpenRequest | null = null;
  /** While it looks, nobody else watches the time. */
  timer: NodeJS.Timeout | null = null;
  generation = 0;
  failures = 0;

  constructor(key: string, entry: Entry, run: CallRun, timeoutMs: number, owner: FlightOwner) {
    this.key = key;
    this.entry = entry;
    this.run = run;
    this.timeoutMs = timeoutMs;
    this.#owner = owner;
  }

  get canStream(): boolean {
    return this.leader?.canStream === true;
  }

  get congested(): boolean {
    return this.leader?.congested === true;
  }

  get onDrain(): (() => void) | null {
    return this.leader?.onDrain ?? null;
  }

  set onDrain(listener: (() => void) | null) {
    if (this.leader !== null) this.leader.onDrain = listener;
  }

  board(rider: Rider): Rider {
    rider.flight = this;
    this.riders.push(rider);
    return rider;
  }

  /** When the time of the rider that came first is over; there is one. */
  get endsAtMs(): number {
    return (this.riders[0] as Rider).arrivedAtMs + this.timeoutMs;
  }

  stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** There is one: whoever asks has looked. */
  nextRider(): Rider {
    return this.riders.shift() as Rider;
  }

  nextLeader(): Rider {
    this.leader = this.nextRider();
    return this.leader;
  }

  takeLeader(): Rider | null {
    const { leader } = this;
    this.leader = null;
    this.open = null;
    return leader;
  }

  takeRiders(): readonly Rider[] {
    const { riders } = this;
    this.riders = [];
    for (const rider of riders) rider.flight = null;
    return riders;
  }

  /** True when nobody is left who wants the answer. */
  leave(rider: Rider): boolean {
    const place = this.riders.indexOf(rider);
    if (place >= 0) this.riders.splice(place, 1);
    return this.riders.length === 0 && (this.leader === null || this.leader.over);
  }

  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void {
    if (this.leader !== null) this.#owner.landed(this, status, message, retryAfterMs);
  }

  send(message: Uint8Array | string): void {
    this.leader?.send(message);
  }

  release(retryMs: number): void {
    this.leader?.release(retryMs);
  }
}
