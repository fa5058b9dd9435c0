/**
 * The event log in Redis: `Last-Event-ID` resumes a stream on any node.
 *
 * Role: gives every event an id at once, and sends it to Redis right after, in batches, one per session under way at a
 * time. Ids are unique because each stream has one writer: the node whose number is in the stream's id; for the
 * standalone stream the node that took it last. Taking it raises its epoch, and what a former writer sends under an
 * older epoch is refused.
 *
 *   append ──► id, to the client ──► backlog ──batch──► Redis: kept, trimmed by events and bytes, TTL
 *
 * What is sent is not stored yet. A node that dies in that time, usually one round trip, takes with it what was not
 * stored: such a message may have reached its client or not, as with any broken connection. A client that has seen more
 * than Redis holds is believed, up to `UNSTORED_MAX` events, and gets what follows; the standalone stream's numbering
 * goes on above it. Nobody is ever given a part: what was dropped leaves its number, and resuming before it is refused.
 * Invariants: sequences are consecutive in a stream; a backlog is bounded per session as the log is, and by
 * `BACKLOG_BYTES_MAX` for all; while Redis is away it waits, and goes out in order when Redis is back.
 */
import type { RedisConnection } from '../redis/connection.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import { Backlog, type EventKind, type PendingEvent } from './backlog.ts';
import { decodeEventId, encodeEventId } from './event-id.ts';
import { EVENT_OVERHEAD_BYTES, type EventLogLimits } from './memory-event-log.ts';
import type { NodeNumber } from './node-number.ts';
import { type EventLog, type SessionEnd, STANDALONE_STREAM } from './port.ts';
import { sessionKeys } from './redis-keys.ts';
import { AFTER, APPEND, TAKE } from './redis-log-scripts.ts';

export interface RedisEventLogOptions {
  readonly commands: RedisConnection;
  /** Start of all keys: `mcp:`. */
  readonly prefix: string;
  readonly node: NodeNumber;
  readonly limits: EventLogLimits;
  /** Of the session, in Redis. */
  readonly ttlMs: number;
  readonly log: { warn(fields: object, message: string): void };
}

/** Bytes of messages that wait for Redis, of all sessions. Reached: new ones are dropped, as events, not to clients. */
const BACKLOG_BYTES_MAX = 32 * 1024 * 1024;
/** Events that wait, of all sessions. Reached: the session that says more keeps one number per stream. */
const BACKLOG_EVENTS_MAX = 262_144;
const BATCH_EVENTS_MAX = 128;
const BATCH_BYTES_MAX = 512 * 1024;
/** Events a client may have seen that Redis has not. */
const UNSTORED_MAX = 4_096;
/** After a batch failed though the connection stands. */
const RETRY_MS = 250;
const CLOSE_MS_MAX = 1_000;

export class RedisEventLog implements EventLog {
  onFenced: ((sessionId: string) => void) | null = null;
  readonly #options: RedisEventLogOptions;
  readonly #backlogs = new Map<string, Backlog>();
  #bytes = 0;
  #waiting = 0;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #stopListening: () => void;

  constructor(options: RedisEventLogOptions) {
    this.#options = options;
    this.#stopListening = options.commands.onChange((up) => up && this.#pumpAll());
  }

  newStream(_sessionId: string): number {
    return this.#options.node.newStream();
  }

  append(sessionId: string, streamId: number, message: Uint8Array | string): string {
    const text =
      typeof message === 'string'
        ? message
        : Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('utf8');
    const bytes = Buffer.byteLength(text);
    const tooLarge = bytes + EVENT_OVERHEAD_BYTES > this.#options.limits.eventBytesMax;
    return this.#write(sessionId, streamId, tooLarge || this.#bytes + bytes > BACKLOG_BYTES_MAX ? 'd' : 'm', text);
  }

  mark(sessionId: string, streamId: number): string {
    return this.#write(sessionId, streamId, 'k', '');
  }

  finish(sessionId: string, streamId: number): void {
    const backlog = this.#backlogs.get(sessionId);
    if (backlog === undefined) return;
    backlog.finish(streamId);
    this.#dropIdle(sessionId, backlog);
  }

  async after(
    sessionId: string,
    lastEventId: string,
  ): Promise<{ streamId: number; events: { id: string; message: string }[] } | null> {
    const id = decodeEventId(lastEventId);
    if (id === null) return null;
    const { streamId, sequence } = id;
    await this.stored(sessionId);
    const args = [streamId.toString(36), sequence, UNSTORED_MAX];
    const found = await this.#options.commands.script(AFTER, this.#keys(sessionId), args);
    if (!Array.isArray(found)) return null;
    const events: { id: string; message: string }[] = [];
    for (let i = found.length - 2; i >= 0; i -= 2) {
      events.push({ id: encodeEventId(streamId, Number(String(found[i]))), message: String(found[i + 1]) });
    }
    return { streamId, events };
  }

  async takeStandalone(sessionId: string, lastEventId: string): Promise<boolean> {
    await this.stored(sessionId);
    const seen = decodeEventId(lastEventId);
    const least = seen !== null && seen.streamId === STANDALONE_STREAM ? seen.sequence : -1;
    const backlog = this.#backlog(sessionId);
    const { commands, node, ttlMs } = this.#options;
    // What is said meanwhile is sent under the new epoch.
    backlog.held++;
    try {
      const taken = await commands.script(TAKE, this.#keys(sessionId), [ttlMs, node.tag, least, UNSTORED_MAX]);
      if (!Array.isArray(taken)) return false;
      backlog.take(String(taken[0]), Number(taken[1]));
      return true;
    } finally {
      backlog.held--;
      this.#pump(sessionId, backlog);
      this.#dropIdle(sessionId, backlog);
    }
  }

  async standaloneHolder(sessionId: string): Promise<string> {
    const holder = await this.#options.commands.command('HGET', this.#keys(sessionId)[2], ':h');
    return holder === null || holder === this.#options.node.tag ? '' : String(holder);
  }

  stored(sessionId: string): Promise<void> | undefined {
    const backlog = this.#backlogs.get(sessionId);
    if (backlog === undefined || backlog.empty) return undefined;
    if (!this.#options.commands.up) {
      return Promise.reject(new RedisUnavailable('away', 'events are waiting for Redis', false));
    }
    return backlog.through();
  }

  drop(sessionId: string, why: SessionEnd): void {
    const backlog = this.#backlogs.get(sessionId);
    if (why === 'released') {
      backlog?.close();
      if (backlog !== undefined) this.#dropIdle(sessionId, backlog);
      return;
    }
    if (backlog !== undefined) {
      this.#count(backlog, -1);
      backlog.clear();
      this.#backlogs.delete(sessionId);
    }
    // What is left behind while Redis is away ends with its time to live.
    this.#options.commands.command('DEL', ...this.#keys(sessionId).slice(1)).catch(() => undefined);
  }

  /** Waits for what is on its way, `CLOSE_MS_MAX` at most. */
  async close(): Promise<void> {
    this.#stopListening();
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    let late: NodeJS.Timeout | undefined;
    const storing = [...this.#backlogs.keys()].map((sessionId) => this.stored(sessionId));
    // What fails now is lost with this node, as if it had died.
    const all = Promise.allSettled(storing);
    const time = new Promise((resolve) => {
      late = setTimeout(resolve, CLOSE_MS_MAX);
    });
    await Promise.race([all, time]);
    clearTimeout(late);
    this.#closed = true;
  }

  #keys(sessionId: string): ReturnType<typeof sessionKeys> {
    return sessionKeys(this.#options.prefix, sessionId);
  }

  #backlog(sessionId: string): Backlog {
    let backlog = this.#backlogs.get(sessionId);
    if (backlog === undefined) {
      backlog = new Backlog(this.#options.limits);
      this.#backlogs.set(sessionId, backlog);
    }
    return backlog;
  }

  #dropIdle(sessionId: string, backlog: Backlog): void {
    if (backlog.idle && this.#backlogs.get(sessionId) === backlog) this.#backlogs.delete(sessionId);
  }

  #write(sessionId: string, streamId: number, kind: EventKind, message: string): string {
    const backlog = this.#backlog(sessionId);
    const sequence = backlog.issue(streamId);
    this.#count(backlog, -1);
    backlog.push(streamId, sequence, kind, kind === 'm' ? message : '');
    if (this.#waiting > BACKLOG_EVENTS_MAX) backlog.shed();
    this.#count(backlog, 1);
    this.#pump(sessionId, backlog);
    return encodeEventId(streamId, sequence);
  }

  /** Takes a backlog out of the sums before it changes, and back in afterwards. */
  #count(backlog: Backlog, sign: 1 | -1): void {
    this.#bytes += sign * backlog.bytes;
    this.#waiting += sign * backlog.length;
  }

  #pump(sessionId: string, backlog: Backlog): void {
    if (backlog.empty || backlog.sending > 0 || backlog.held > 0 || !this.#options.commands.up) return;
    const batch = backlog.begin(BATCH_EVENTS_MAX, BATCH_BYTES_MAX);
    this.#send(sessionId, backlog.epoch, batch).then(
      (outcome) => this.#sent(sessionId, backlog, outcome),
      (error: unknown) => this.#failed(sessionId, backlog, error),
    );
  }

  async #send(sessionId: string, epoch: string, batch: readonly PendingEvent[]): Promise<number> {
    const { commands, limits, ttlMs } = this.#options;
    const args: (string | number)[] = [ttlMs, limits.eventsMax, limits.eventBytesMax, EVENT_OVERHEAD_BYTES, epoch];
    for (const { streamId, sequence, kind, message } of batch)
      args.push(streamId.toString(36), sequence, kind, message);
    return Number(await commands.script(APPEND, this.#keys(sessionId), args));
  }

  #sent(sessionId: string, backlog: Backlog, outcome: number): void {
    // Dropped meanwhile.
    if (this.#backlogs.get(sessionId) !== backlog) return;
    this.#count(backlog, -1);
    // Without its session nothing of it can be asked for.
    if (outcome < 0) backlog.clear();
    else backlog.sent();
    this.#count(backlog, 1);
    if (outcome === 1) this.onFenced?.(sessionId);
    this.#pump(sessionId, backlog);
    this.#dropIdle(sessionId, backlog);
  }

  #failed(sessionId: string, backlog: Backlog, error: unknown): void {
    if (this.#backlogs.get(sessionId) !== backlog) return;
    backlog.failed(error);
    if (!(error instanceof RedisUnavailable)) {
      this.#options.log.warn({ err: error }, 'events of a session could not be stored');
    }
    // When the connection was lost, its return pumps again.
    if (!this.#options.commands.up || this.#retry !== null || this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#pumpAll();
    }, RETRY_MS);
  }

  #pumpAll(): void {
    for (const [sessionId, backlog] of this.#backlogs) this.#pump(sessionId, backlog);
  }
}
