/**
 * This node's copy of a session that is kept in Redis.
 *
 * Role: what the protocol reads and changes at once, beside what Redis is known to hold; the difference is what `save`
 * sends. Fields are saved one by one, so that two nodes which change different things at the same moment lose neither.
 */

import { type Revision, revisionNamed } from '../protocol/revisions.ts';
import { pack, unpack } from '../redis/packed.ts';
import type { Session, SessionInit } from './port.ts';

const VERSION = 1;
const SUBSCRIPTION = 's:';

/** What Redis holds of a session. */
export interface SessionRecord {
  readonly init: SessionInit;
  /** Rises with every change. */
  readonly version: number;
  readonly logLevel: string;
  readonly initialized: boolean;
  readonly subscriptions: ReadonlySet<string>;
}

/** What a copy has that Redis has not, and what it was before. */
export interface SessionChange {
  readonly logLevel: { readonly from: string; readonly to: string } | null;
  readonly initialized: boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export class RedisSession implements Session {
  readonly id: string;
  readonly revision: Revision;
  readonly principalId: string | null;
  readonly clientCapabilities: Record<string, unknown>;
  readonly clientInfo: Session['clientInfo'];
  logLevel: string;
  initialized: boolean;
  lastSeenAtMs: number;
  readonly subscriptions: Set<string>;
  /** Of the record this copy agrees with. */
  version: number;
  /** When Redis was last told of its use. */
  touchedAtMs: number;
  /** Of the subscriptions: an older one means that changes may have been missed. */
  generation: number;
  /** Changes on their way. */
  saving = 0;
  /** It is being found out whether it still exists. */
  retiring = false;
  readonly #save: (session: RedisSession) => Promise<void>;
  #storedLevel: string;
  #storedInitialized: boolean;
  #storedSubscriptions: Set<string>;

  constructor(
    id: string,
    record: SessionRecord,
    nowMs: number,
    generation: number,
    save: (session: RedisSession) => Promise<void>,
  ) {
    const { init } = record;
    this.id = id;
    this.revision = init.revision;
    this.principalId = init.principalId;
    this.clientCapabilities = init.clientCapabilities;
    this.clientInfo = init.clientInfo;
    this.logLevel = this.#storedLevel = record.logLevel;
    this.initialized = this.#storedInitialized = record.initialized;
    this.subscriptions = new Set(record.subscriptions);
    this.#storedSubscriptions = new Set(record.subscriptions);
    this.version = record.version;
    this.lastSeenAtMs = nowMs;
    this.touchedAtMs = nowMs;
    this.generation = generation;
    this.#save = save;
  }

  save(): Promise<void> {
    return this.#save(this);
  }

  /** The difference, taken for stored from now on; null: there is none. */
  takeChange(): SessionChange | null {
    const stored = this.#storedSubscriptions;
    const change: SessionChange = {
      logLevel: this.logLevel === this.#storedLevel ? null : { from: this.#storedLevel, to: this.logLevel },
      initialized: this.initialized && !this.#storedInitialized,
      added: [...this.subscriptions].filter((uri) => !stored.has(uri)),
      removed: [...stored].filter((uri) => !this.subscriptions.has(uri)),
    };
    const { added, removed } = change;
    if (change.logLevel === null && !change.initialized && added.length === 0 && removed.length === 0) return null;
    this.#storedLevel = this.logLevel;
    this.#storedInitialized = this.initialized;
    this.#storedSubscriptions = new Set(this.subscriptions);
    return change;
  }

  /** It could not be stored: as if it had never been. */
  undo(change: SessionChange): void {
    if (change.logLevel !== null) this.logLevel = this.#storedLevel = change.logLevel.from;
    if (change.initialized) this.initialized = this.#storedInitialized = false;
    for (const uri of change.added) {
      this.subscriptions.delete(uri);
      this.#storedSubscriptions.delete(uri);
    }
    for (const uri of change.removed) {
      this.subscriptions.add(uri);
      this.#storedSubscriptions.add(uri);
    }
  }

  /** Takes over what Redis holds. Returns the resources whose subscription changed. */
  apply(record: SessionRecord): readonly string[] {
    const changed: string[] = [];
    for (const uri of this.subscriptions) if (!record.subscriptions.has(uri)) changed.push(uri);
    for (const uri of record.subscriptions) if (!this.subscriptions.has(uri)) changed.push(uri);
    this.version = record.version;
    this.logLevel = this.#storedLevel = record.logLevel;
    this.initialized = this.#storedInitialized = record.initialized;
    for (const uri of changed) {
      if (record.subscriptions.has(uri)) this.subscriptions.add(uri);
      else this.subscriptions.delete(uri);
    }
    this.#storedSubscriptions = new Set(record.subscriptions);
    return changed;
  }
}

export function packInit(init: SessionInit): Buffer {
  const { revision, principalId, clientCapabilities, clientInfo } = init;
  return pack(VERSION, { revision: revision.name, principalId, clientCapabilities, clientInfo });
}

/** The fields to set (name, value, …) and those to take away. */
export function fieldsOf(change: SessionChange): {
  readonly set: readonly string[];
  readonly remove: readonly string[];
} {
  const set: string[] = [];
  if (change.logLevel !== null) set.push('l', change.logLevel.to);
  if (change.initialized) set.push('r', '1');
  for (const uri of change.added) set.push(`${SUBSCRIPTION}${uri}`, '1');
  return { set, remove: change.removed.map((uri) => `${SUBSCRIPTION}${uri}`) };
}

/** `undefined`: there is none. Null: it was written by a version of this program that is not known here. */
export function recordOf(fields: unknown): SessionRecord | null | undefined {
  if (!Array.isArray(fields) || fields.length === 0) return undefined;
  let init: SessionInit | null = null;
  let version = 0;
  let logLevel = '';
  let initialized = false;
  const subscriptions = new Set<string>();
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = String(fields[i]);
    const value: unknown = fields[i + 1];
    if (name === 'i') init = initOf(unpack(VERSION, value));
    else if (name === 'v') version = Number(String(value));
    else if (name === 'l') logLevel = String(value);
    else if (name === 'r') initialized = true;
    else if (name.startsWith(SUBSCRIPTION)) subscriptions.add(name.slice(SUBSCRIPTION.length));
  }
  return init === null ? null : { init, version, logLevel, initialized, subscriptions };
}

function initOf(value: unknown): SessionInit | null {
  if (typeof value !== 'object' || value === null) return null;
  const { revision, principalId, clientCapabilities, clientInfo } = value as Record<string, unknown>;
  const known = typeof revision === 'string' ? revisionNamed(revision) : undefined;
  if (known === undefined || (principalId !== null && typeof principalId !== 'string')) return null;
  if (typeof clientCapabilities !== 'object' || clientCapabilities === null) return null;
  if (typeof clientInfo !== 'object' || clientInfo === null) return null;
  return {
    revision: known,
    principalId,
    clientCapabilities: clientCapabilities as Record<string, unknown>,
    clientInfo: clientInfo as Session['clientInfo'],
  };
}
