/**
 * Sessions in Redis: any node serves any session.
 *
 * Role: answers "whose session is this?" at once for sessions used here lately, from copies, and with a promise for all
 * others. A use is told to Redis at most every `TOUCH_MS_MAX`; that also finds out whether the copy is still right, so
 * a copy is out of date for no longer than that. Usually it is for as long as a message takes: changes and endings made
 * on other nodes are broadcast (`changed`, `ended`). When messages may have been missed, every copy is read again at
 * its next use.
 *
 *   unknown ──read──► copy ──used──► copy        changed, or after a gap: read again
 *                       └── deleted, evicted, not used for `ttlMs` (expired; or released, if it is used elsewhere)
 *
 * Invariants: a session lives from `ttlMs` to `ttlMs` + `TOUCH_MS_MAX` after its last use on any node, and is in use where
 * it is busy; while Redis is
 * away copies are served on until they were not used here for `ttlMs`, and whoever asks for more is told that it cannot
 * be had (`RedisUnavailable`), never that there is no session. A deletion made elsewhere meanwhile is seen when Redis is
 * back. After Redis lost its data the sessions are gone: copies are not written back, for they may have been deleted.
 * `max` bounds copies here exactly, and sessions of all nodes by an index that learns of uses with a few seconds' delay:
 * what is evicted was not used for a long time, though not always for the longest.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import type { MaybePromise, Session, SessionEnd, SessionInit, SessionRelay, SessionStore } from './port.ts';
import { type SessionKeys, sessionIndexKey, sessionKeys } from './redis-keys.ts';
import { fieldsOf, packInit, RedisSession, recordOf, type SessionRecord } from './redis-session.ts';
import { CREATE, DELETE, ENTER, SAVE, TOUCH, USED } from './redis-store-scripts.ts';

export interface RedisStoreOptions {
  readonly commands: RedisConnection;
  readonly relay: Pick<SessionRelay, 'on' | 'broadcast' | 'tag'>;
  /** Start of all keys: `mcp:`. */
  readonly prefix: string;
  readonly limits: { readonly max: number; readonly ttlMs: number };
  readonly log: Pick<Log, 'warn'>;
}

/** 192 bits, 32 characters of base64url. */
const ID_BYTES = 24;
const ID_SHAPE = /^[\w-]{32}$/;
const TOUCH_MS_MAX = 5_000;
/** Copies looked at in one sweep. */
const SWEEP_MAX = 256;
/** Sessions told to the index at once. */
const USED_MAX = 4_096;
const ENDS: readonly string[] = ['deleted', 'expired', 'evicted', 'closed'];
/** Times a session is read because what was read is older than what is known to be there. */
const READS_MAX = 4;

/** A session that is being read. */
interface Loading {
  readonly read: Promise<RedisSession | undefined>;
  /** Version that is known to be there: what was read before that was told may be older. */
  least: number;
}

export class RedisSessionStore implements SessionStore {
  isBusy: ((session: Session) => boolean) | null = null;
  onEnd: ((session: Session, why: SessionEnd) => void) | null = null;
  onSubscriptions: ((session: Session, uri: string) => void) | null = null;
  readonly #options: RedisStoreOptions;
  readonly #touchMs: number;
  /** How long Redis keeps what belongs to a session. */
  readonly ttlMs: number;
  /** In order of the last touch. */
  readonly #copies = new Map<string, RedisSession>();
  readonly #loading = new Map<string, Loading>();
  /** Used since the index was last told. Bounded as the copies are. */
  #used = new Set<string>();
  #generation = 0;
  readonly #save = (session: RedisSession): Promise<void> => this.#saved(session);

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#touchMs = Math.min(TOUCH_MS_MAX, Math.ceil(options.limits.ttlMs / 4));
    this.ttlMs = options.limits.ttlMs + this.#touchMs;
    options.relay.on('changed', ({ sessionId, payload }) => this.#changed(sessionId, Number(payload)));
    options.relay.on('ended', ({ sessionId, payload }) => {
      const copy = this.#copies.get(sessionId);
      if (copy !== undefined && ENDS.includes(payload)) this.#end(copy, payload as SessionEnd);
      return '';
    });
  }

  get size(): number {
    return this.#copies.size;
  }

  async create(init: SessionInit, nowMs: number): Promise<Session> {
    const id = randomBytes(ID_BYTES).toString('base64url');
    const { commands, limits, prefix, relay } = this.#options;
    const gone = await commands.script(ENTER, [sessionIndexKey(prefix)], [this.ttlMs, limits.max, id]);
    if (Array.isArray(gone)) for (const evicted of gone) this.#evict(String(evicted));
    await commands.script(CREATE, this.#keys(id), [this.ttlMs, packInit(init), relay.tag]);
    const record: SessionRecord = { init, version: 1, logLevel: '', initialized: false, subscriptions: new Set() };
    return this.#keep(id, record, nowMs);
  }

  get(id: string, principalId: string | null, nowMs: number): MaybePromise<Session | undefined> {
    const copy = this.#copies.get(id);
    if (copy === undefined) return ID_SHAPE.test(id) ? this.#fetched(id, principalId, nowMs) : undefined;
    if (copy.principalId !== principalId) return undefined;
    if (copy.generation !== this.#generation || nowMs - copy.lastSeenAtMs > this.#options.limits.ttlMs) {
      return this.#checked(copy, nowMs);
    }
    copy.lastSeenAtMs = nowMs;
    if (nowMs - copy.touchedAtMs >= this.#touchMs) this.#touch(copy, nowMs);
    return copy;
  }

  async delete(id: string): Promise<boolean> {
    if (!ID_SHAPE.test(id)) return false;
    return this.#remove(id, 'deleted');
  }

  sweep(nowMs: number): void {
    this.#tellIndex();
    let looked = 0;
    for (const copy of this.#copies.values()) {
      if (nowMs - copy.touchedAtMs <= this.#options.limits.ttlMs || ++looked > SWEEP_MAX) return;
      if (nowMs - copy.lastSeenAtMs <= this.#options.limits.ttlMs) continue;
      if (this.isBusy?.(copy) === true) {
        copy.lastSeenAtMs = nowMs;
        this.#touch(copy, nowMs);
      } else this.#retire(copy);
    }
  }

  /** Messages of other nodes may have been missed. */
  gap(): void {
    this.#generation++;
  }

  #keys(id: string): SessionKeys {
    return sessionKeys(this.#options.prefix, id);
  }

  #keep(id: string, record: SessionRecord, nowMs: number): RedisSession {
    for (const oldest of this.#copies.values()) {
      if (this.#copies.size < this.#options.limits.max) break;
      this.#end(oldest, 'released');
    }
    const copy = new RedisSession(id, record, nowMs, this.#generation, this.#save);
    this.#copies.set(id, copy);
    return copy;
  }

  async #fetched(id: string, principalId: string | null, nowMs: number): Promise<Session | undefined> {
    const copy = await this.#load(id, nowMs);
    if (copy === undefined || copy.principalId !== principalId) return undefined;
    copy.lastSeenAtMs = nowMs;
    this.#touch(copy, nowMs);
    return copy;
  }

  /** A copy that may be wrong, or was not used here for so long that it may have ended. */
  async #checked(copy: RedisSession, nowMs: number): Promise<Session | undefined> {
    try {
      const loaded = await this.#load(copy.id, nowMs);
      if (loaded === undefined) return undefined;
      loaded.lastSeenAtMs = nowMs;
      this.#touch(loaded, nowMs);
      return loaded;
    } catch (error) {
      const young = nowMs - copy.lastSeenAtMs <= this.#options.limits.ttlMs;
      if (!(error instanceof RedisUnavailable) || !young || this.#copies.get(copy.id) !== copy) throw error;
      copy.lastSeenAtMs = nowMs;
      return copy;
    }
  }

  /** Reads a session, into the copy there is or a new one. At most once at a time; `least`: see `Loading`. */
  #load(id: string, nowMs: number, least = 0): Promise<RedisSession | undefined> {
    const under = this.#loading.get(id);
    if (under !== undefined) {
      under.least = Math.max(under.least, least);
      return under.read;
    }
    const read = this.#read(id, nowMs).finally(() => this.#loading.delete(id));
    this.#loading.set(id, { read, least });
    return read;
  }

  async #read(id: string, nowMs: number): Promise<RedisSession | undefined> {
    const generation = this.#generation;
    const record = await this.#record(id);
    const copy = this.#copies.get(id);
    if (record === undefined) {
      if (copy !== undefined) this.#end(copy, 'expired');
      return undefined;
    }
    if (copy === undefined) return this.#keep(id, record, nowMs);
    // While a change is on its way the copy is ahead of what was read; who made the change looks after it.
    if (copy.saving > 0) return copy;
    copy.generation = generation;
    for (const uri of copy.apply(record)) this.onSubscriptions?.(copy, uri);
    return copy;
  }

  /** Again, when a change became known while it was read. A Redis that went back in time is believed in the end. */
  async #record(id: string): Promise<SessionRecord | undefined> {
    for (let reads = 1; ; reads++) {
      const before = this.#copies.get(id)?.version ?? 0;
      const record = recordOf(await this.#options.commands.commandBytes('HGETALL', this.#keys(id)[0]));
      if (record === null) {
        throw new RedisUnavailable('refused', 'the session was written by another version of this program', false);
      }
      if (record === undefined || reads === READS_MAX) return record;
      const saved = this.#copies.get(id)?.version ?? 0;
      const least = Math.max(this.#loading.get(id)?.least ?? 0, saved === before ? 0 : saved);
      if (record.version >= least) return record;
    }
  }

  #touch(copy: RedisSession, nowMs: number): void {
    copy.touchedAtMs = nowMs;
    this.#copies.delete(copy.id);
    this.#copies.set(copy.id, copy);
    this.#used.add(copy.id);
    this.#options.commands.script(TOUCH, this.#keys(copy.id), [this.ttlMs]).then(
      (version) => this.#touched(copy, Number(version)),
      // Redis is away: the next use tries again.
      () => undefined,
    );
  }

  #touched(copy: RedisSession, version: number): void {
    if (this.#copies.get(copy.id) !== copy) return;
    if (version < 0) this.#end(copy, 'expired');
    else if (version !== copy.version && copy.saving === 0) this.#reload(copy, version);
  }

  #changed(id: string, version: number): string {
    const copy = this.#copies.get(id);
    const loading = this.#loading.get(id);
    if (loading !== undefined) loading.least = Math.max(loading.least, version);
    else if (copy !== undefined && version > copy.version) this.#reload(copy, version);
    return '';
  }

  #reload(copy: RedisSession, least: number): void {
    this.#load(copy.id, copy.lastSeenAtMs, least).catch((error: unknown) => {
      // The next use reads it, or serves what there is.
      copy.generation = -1;
      if (!(error instanceof RedisUnavailable)) this.#options.log.warn({ err: error }, 'a session could not be read');
    });
  }

  async #saved(copy: RedisSession): Promise<void> {
    const change = copy.takeChange();
    if (change === null) return;
    const { set, remove } = fieldsOf(change);
    const keys = this.#keys(copy.id).slice(0, 1);
    copy.saving++;
    let version: number;
    try {
      version = Number(await this.#options.commands.script(SAVE, keys, [this.ttlMs, set.length, ...set, ...remove]));
    } catch (error) {
      copy.undo(change);
      copy.generation = -1;
      throw error;
    } finally {
      copy.saving--;
    }
    if (version < 0) {
      if (this.#copies.get(copy.id) === copy) this.#end(copy, 'expired');
      return;
    }
    this.#options.relay.broadcast('changed', copy.id, String(version));
    if (version === copy.version + 1) copy.version = version;
    else if (copy.saving === 0 && this.#copies.get(copy.id) === copy) this.#reload(copy, version);
  }

  async #remove(id: string, why: SessionEnd): Promise<boolean> {
    const { commands, prefix, relay } = this.#options;
    const there = Number(await commands.script(DELETE, this.#keys(id), [])) === 1;
    // An entry that stays behind is one that will be found the oldest, or too old.
    commands.command('ZREM', sessionIndexKey(prefix), id).catch(() => undefined);
    relay.broadcast('ended', id, why);
    const copy = this.#copies.get(id);
    if (copy !== undefined) this.#end(copy, why);
    return there;
  }

  #evict(id: string): void {
    this.#remove(id, 'evicted').catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'a session could not be evicted: it ends when it is no longer used');
    });
  }

  /** Not used here for `ttlMs`: it is over, or lives elsewhere. */
  #retire(copy: RedisSession): void {
    if (copy.retiring) return;
    copy.retiring = true;
    const seenAtMs = copy.lastSeenAtMs;
    this.#options.commands.command('EXISTS', this.#keys(copy.id)[0]).then(
      (there) => {
        copy.retiring = false;
        if (this.#copies.get(copy.id) !== copy || copy.lastSeenAtMs !== seenAtMs) return;
        this.#end(copy, there === 1 ? 'released' : 'expired');
      },
      () => {
        // Redis is away: a later sweep asks again, and copies are bounded.
        copy.retiring = false;
      },
    );
  }

  #tellIndex(): void {
    if (this.#used.size === 0 || !this.#options.commands.up) return;
    const ids = [...this.#used].slice(0, USED_MAX);
    for (const id of ids) this.#used.delete(id);
    const key = sessionIndexKey(this.#options.prefix);
    this.#options.commands.script(USED, [key], [this.ttlMs, ...ids]).catch(() => {
      // Told again with the next use; until then others may be thought to be used more recently.
    });
  }

  #end(copy: RedisSession, why: SessionEnd): void {
    this.#copies.delete(copy.id);
    this.#used.delete(copy.id);
    this.onEnd?.(copy, why);
  }
}
