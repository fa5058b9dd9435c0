/**
 * The event log in Redis: `Last-Event-ID` resumes a stream on any node.
 *
 * Role: gives every event an id at once, and sends it to Redis at the end of the turn: all that a session said in it by
 * one script, one per session under way at a time. Ids are unique because each stream has one writer: the node whose
 * number is in the stream's id; for the standalone stream the node that took it last. Taking it raises its epoch, and
 * what a former writer sends under an older epoch is refused.
 *
 *   append ──► id ──► backlog ──end of the turn──► Redis: kept, trimmed by events and bytes, TTL ──stored──► to the client
 *
 * Who writes a stream holds each event back until it is stored (`untilStored`), so whatever a client has seen every node
 * can read, and a node that dies takes nothing with it that somebody has seen. Except while nothing can be stored: when
 * Redis is away, full or does not answer in time, events go to the client alone until a batch has succeeded again. A
 * client that has seen more than Redis holds is therefore believed, up to `UNSTORED_MAX` events, and gets what follows;
 * the standalone stream's numbering goes on above it. Nobody is ever given a part: what was dropped leaves its number,
 * and resuming before it is refused.
 * Invariants: sequences are consecutive in a stream; a backlog is bounded per session as the log is, and by
 * `BACKLOG_BYTES_MAX` for all; while Redis is away it waits, and goes out in order when Redis is back.
 */
import type { Log } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import { atMost } from '../waiting.ts';
import { Backlog, type EventKind, type PendingEvent } from './backlog.ts';
import { decodeEventId, encodeEventId } from './event-id.ts';
import { EVENT_OVERHEAD_BYTES, type EventLogLimits } from './memory-event-log.ts';
import type { NodeNumber } from './node-number.ts';
import { type EventLog, type SessionEnd, STANDALONE_STREAM, type StoredListener } from './port.ts';
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
  readonly log: Pick<Log, 'warn'>;
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
  /** Events that wait in one turn, from which on they do not wait for its end. */
  readonly #eagerAt: number;
  /** Sessions that said something in this turn. */
  #due: string[] = [];
  readonly #endTurn = (): void => this.#pumpDue();
  #closed = false;
  readonly #stopListening: () => void;

  constructor(options: RedisEventLogOptions) {
    this.#options = options;
    this.#eagerAt = Math.min(BATCH_EVENTS_MAX, options.limits.eventsMax);
    this.#stopListening = options.commands.onChange((up) => {
      if (up) this.#pumpAll();
      else this.#waitNoMore();
    });
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

  untilStored(sessionId: string, listener: StoredListener): number {
    const backlog = this.#backlogs.get(sessionId);
    if (backlog === undefined || backlog.empty || backlog.failing || this.#closed) return 0;
    // What is over the limit is not kept, so nobody need wait for it.
    if (!this.#options.commands.up || this.#bytes > BACKLOG_BYTES_MAX) return 0;
    return backlog.listen(listener);
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
      backlog.waitNoMore();
    }
    // What is left behind while Redis is away ends with its time to live.
    this.#options.commands.command('DEL', ...this.#keys(sessionId).slice(1)).catch(() => undefined);
  }

  /** Waits for what is on its way, `CLOSE_MS_MAX` at most. */
  async close(): Promise<void> {
    this.#stopListening();
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    const storing = [...this.#backlogs.keys()].map((sessionId) => this.stored(sessionId));
    // What fails now is lost with this node, as if it had died.
    await atMost(Promise.allSettled(storing), CLOSE_MS_MAX);
    this.#closed = true;
    this.#waitNoMore();
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
    // Before the backlog has to forget the first ones.
    if (backlog.length >= this.#eagerAt) this.#pump(sessionId, backlog);
    else this.#pumpSoon(sessionId, backlog);
    return encodeEventId(streamId, sequence);
  }

  /** Takes a backlog out of the sums before it changes, and back in afterwards. */
  #count(backlog: Backlog, sign: 1 | -1): void {
    this.#bytes += sign * backlog.bytes;
    this.#waiting += sign * backlog.length;
  }

  /** What a turn says goes out together, in one step. */
  #pumpSoon(sessionId: string, backlog: Backlog): void {
    // What waits is sent when the batch under way is through.
    if (backlog.due || backlog.sending > 0) return;
    backlog.due = true;
    if (this.#due.length === 0) setImmediate(this.#endTurn);
    this.#due.push(sessionId);
  }

  #pumpDue(): void {
    const due = this.#due;
    this.#due = [];
    for (const sessionId of due) {
      const backlog = this.#backlogs.get(sessionId);
      // Dropped meanwhile.
      if (backlog === undefined) continue;
      backlog.due = false;
      this.#pump(sessionId, backlog);
    }
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
    // Before anybody is told: of what was refused nothing may reach the client.
    if (outcome === 1) this.onFenced?.(sessionId);
    this.#count(backlog, -1);
    // Without its session nothing of it can be asked for.
    if (outcome < 0) backlog.clear();
    else backlog.sent();
    this.#count(backlog, 1);
    if (outcome < 0) backlog.waitNoMore();
    else backlog.tellStored();
    this.#pump(sessionId, backlog);
    this.#dropIdle(sessionId, backlog);
  }

  #failed(sessionId: string, backlog: Backlog, error: unknown): void {
    if (this.#backlogs.get(sessionId) !== backlog) return;
    backlog.failed(error);
    backlog.waitNoMore();
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

  #waitNoMore(): void {
    for (const backlog of this.#backlogs.values()) backlog.waitNoMore();
  }

  #pumpAll(): void {
    for (const [sessionId, backlog] of this.#backlogs) this.#pump(sessionId, backlog);
  }
}
