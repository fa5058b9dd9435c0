/**
 * Events of one session that are on their way to Redis, and the numbers its streams are at.
 *
 *   queue   [ being sent | waiting … ]
 *
 *   place   taken + queue    of what was written last; stored once `taken` has come there
 *
 * Role: pure bookkeeping for `RedisEventLog`. Bounded as the log itself is: what the log would push out anyway when it
 * came there is dropped here first, leaving its number, so that nobody takes the stream for complete.
 */
import { STANDALONE_STREAM, type StoredListener } from './port.ts';

/** `m`: message. `k`: an id without one. `d`: a message that was dropped. */
export type EventKind = 'm' | 'k' | 'd';

export interface PendingEvent {
  readonly streamId: number;
  readonly sequence: number;
  kind: EventKind;
  message: string;
  bytes: number;
}

export interface BacklogLimits {
  readonly eventsMax: number;
  readonly eventBytesMax: number;
}

interface Waiter {
  readonly until: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Numbers of dropped events are kept too, up to this many times `eventsMax`. */
const PENDING_SHARE_MAX = 2;

export class Backlog {
  /** What this node may write to the standalone stream with; `''`: it may not. */
  epoch = '';
  /** Events at the front that are being sent. */
  sending = 0;
  /** Nothing is sent while this is above 0. */
  held = 0;
  bytes = 0;
  /** It will be looked at by the end of the turn. */
  due = false;
  /** The last batch could not be stored. */
  failing = false;
  readonly #limits: BacklogLimits;
  #queue: PendingEvent[] = [];
  #messages = 0;
  /** Nothing before this place holds a message that could be dropped. */
  #trimmed = 0;
  #taken = 0;
  #nextStandalone = 0;
  readonly #next = new Map<number, number>();
  #waiters: Waiter[] = [];
  readonly #listeners = new Set<StoredListener>();

  constructor(limits: BacklogLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#queue.length;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** Nothing is known here that could not be found out again. */
  get idle(): boolean {
    return this.empty && this.held === 0 && this.epoch === '' && this.#next.size === 0;
  }

  issue(streamId: number): number {
    if (streamId === STANDALONE_STREAM) {
      if (this.epoch === '') throw new Error('the standalone stream is written by another node');
      return this.#nextStandalone++;
    }
    const sequence = this.#next.get(streamId) ?? 0;
    this.#next.set(streamId, sequence + 1);
    return sequence;
  }

  /** This node writes the standalone stream from now on, after `last`. */
  take(epoch: string, last: number): void {
    this.#nextStandalone = this.epoch === '' ? last + 1 : Math.max(this.#nextStandalone, last + 1);
    this.epoch = epoch;
  }

  finish(streamId: number): void {
    this.#next.delete(streamId);
  }

  /** Streams are over, what waits is still sent. */
  close(): void {
    this.epoch = '';
    this.#next.clear();
  }

  push(streamId: number, sequence: number, kind: EventKind, message: string): void {
    const bytes = kind === 'm' ? Buffer.byteLength(message) : 0;
    this.#queue.push({ streamId, sequence, kind, message, bytes });
    this.bytes += bytes;
    if (kind === 'm') this.#messages++;
    this.#trim();
  }

  /** Too much waits on this node: of each stream only its last number stays, for it says that the rest was dropped. */
  shed(): void {
    const last = new Map<number, PendingEvent>();
    const waiting = this.#queue.splice(this.sending);
    for (const event of waiting) {
      this.#drop(event);
      last.set(event.streamId, event);
    }
    this.#taken += waiting.length - last.size;
    this.#queue.push(...last.values());
    this.#trimmed = this.sending;
  }

  /** The next events to send, at least one; they stay until `sent` or `failed`. */
  begin(eventsMax: number, bytesMax: number): readonly PendingEvent[] {
    let bytes = 0;
    let count = 0;
    for (const event of this.#queue) {
      bytes += event.bytes;
      if (count === eventsMax || (count > 0 && bytes > bytesMax)) break;
      count++;
    }
    this.sending = count;
    return this.#queue.slice(0, count);
  }

  sent(): void {
    this.failing = false;
    this.#remove(this.sending);
    this.sending = 0;
    for (const waiter of this.#waiters.splice(0)) {
      if (waiter.until <= this.#taken) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  failed(error: unknown): void {
    this.failing = true;
    this.sending = 0;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** Nobody wants it any more. */
  clear(): void {
    this.#remove(this.#queue.length);
    this.sending = 0;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** Tells `listener` of what is stored from now on. Returns the place of what was written last. */
  listen(listener: StoredListener): number {
    this.#listeners.add(listener);
    return this.#taken + this.#queue.length;
  }

  /** To be called after `sent`; whoever is told may say more at once. */
  tellStored(): void {
    this.#tell(this.#taken);
  }

  /** Nothing can be stored for now. As `tellStored`. */
  waitNoMore(): void {
    this.#tell(Number.POSITIVE_INFINITY);
  }

  /** Resolves when all that waits now is through. */
  through(): Promise<void> {
    const until = this.#taken + this.#queue.length;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ until, resolve, reject });
    });
  }

  #tell(place: number): void {
    for (const listener of this.#listeners) if (!listener.stored(place)) this.#listeners.delete(listener);
  }

  #remove(count: number): void {
    for (const event of this.#queue.splice(0, count)) {
      this.bytes -= event.bytes;
      if (event.kind === 'm') this.#messages--;
    }
    this.#taken += count;
    this.#trimmed = Math.max(0, this.#trimmed - count);
  }

  #drop(event: PendingEvent): void {
    if (event.kind !== 'm') return;
    this.bytes -= event.bytes;
    this.#messages--;
    event.kind = 'd';
    event.message = '';
    event.bytes = 0;
  }

  #trim(): void {
    const { eventsMax, eventBytesMax } = this.#limits;
    let at = Math.max(this.#trimmed, this.sending);
    for (; at < this.#queue.length && (this.#messages > eventsMax || this.bytes > eventBytesMax); at++) {
      const event = this.#queue[at];
      if (event !== undefined) this.#drop(event);
    }
    this.#trimmed = at === this.#queue.length ? this.#trimmed : Math.max(this.#trimmed, at);
    if (this.#queue.length > eventsMax * PENDING_SHARE_MAX && this.sending === 0) this.#remove(1);
  }
}
