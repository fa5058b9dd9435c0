/**
 * The task store of many nodes.
 *
 * Role: remembers the claims of this node, so that nobody else here handles tokens, and turns what the scripts
 * (`redis-scripts.ts`) answer into records. Other nodes are told over pub/sub that there is news of a task; what the
 * news is stands in Redis, so a message that is lost costs time only: the next renewal finds it.
 */
import type { RedisArgument, RedisConnection, RedisReply } from '../redis/connection.ts';
import type { Script } from '../redis/script.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import type { Orphan, PutAnswer, SharedTaskStore, TaskCall, TaskNews, TaskRecord } from './port.ts';
import { packCall, packRecord, unpackCall, unpackRecord } from './record-codec.ts';
import { DELETE, END, LEAVE_ANSWERS, PUT, RELEASE, RENEW, SWEEP, TAKE_ANSWERS, TAKE_ORPHANS } from './redis-scripts.ts';
import { isTerminal, nextStatus } from './transitions.ts';

/** Of a task that may live for ever, and of the indexes. */
const TTL_MS_MAX = 30 * 86_400_000;
/** Claims renewed in one step. */
const RENEWED_AT_ONCE = 100;
/** Orphans claimed in one step: each survivor takes its share. */
const ORPHANS_AT_ONCE = 8;
/** Attempts to end a task that changes all the time. */
const END_ATTEMPTS = 20;
/**
 * A node that is there and does not renew is waited for so many times as long as a claim lasts. Longer than tools and
 * collections of garbage stand in the way of a front end; after that it will hardly come back.
 */
const PATIENCE_CLAIMS = 10;
/**
 * Nodes that live are back, and have said so, so long after Redis is: a connection is made again within five seconds, and
 * brings a heartbeat. At least a claim, in which each of them renews.
 */
const RETURN_MS_MIN = 6_000;
/** Part of a claim in which somebody looks for orphans, unless nobody can; but no pause so short is an outage. */
const LOOKS_WITHIN_CLAIMS = 2 / 3;
const OUTAGE_MS_MIN = 2_000;

export interface RedisTaskStoreOptions {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  readonly prefix: string;
  readonly tasksMax: number;
  readonly claimMs: number;
  readonly nodeId: string;
  /** Of this start of the node, as its heartbeat tells it under `presenceKey`. */
  readonly start: string;
}

/** Where the heartbeat of a node says that it is there; `''` instead of an id: the start of all of them. */
export const presenceKey = (prefix: string, nodeId: string): string => `${prefix}{tasks}:node:${nodeId}`;

interface Claim {
  readonly token: string;
  readonly since: string;
}

export class RedisTaskStore implements SharedTaskStore {
  readonly claimMs: number;
  onNews: ((taskId: string) => void) | null = null;
  readonly #options: RedisTaskStoreOptions;
  readonly #base: string;
  readonly #taskBase: string;
  readonly #all: string;
  readonly #endedKey: string;
  readonly #claimsKey: string;
  readonly #sinceKey: string;
  readonly #lookedKey: string;
  readonly #channel: string;
  /** Until then those that live may be missing: the connection of this node was lost and is back; monotonic milliseconds. */
  #waitsUntilMs = 0;
  #wasLost = false;
  /** Of the tasks this node runs, by id; bounded by their count. */
  readonly #claims = new Map<string, Claim>();
  #size = 0;
  #sweeping = false;

  constructor(options: RedisTaskStoreOptions) {
    this.#options = options;
    this.claimMs = options.claimMs;
    this.#base = `${options.prefix}{tasks}:`;
    this.#taskBase = `${this.#base}t:`;
    this.#all = `${this.#base}all`;
    this.#endedKey = `${this.#base}ended`;
    this.#claimsKey = `${this.#base}claims`;
    this.#sinceKey = `${this.#base}since`;
    this.#lookedKey = `${this.#base}looked`;
    this.#channel = `${this.#base}news`;
    options.commands.onChange((up) => this.#changed(up));
    options.subscriber.on(this.#channel, (message) => this.onNews?.(message.toString('utf8')));
  }

  #changed(up: boolean): void {
    if (up && this.#wasLost) this.#waitsUntilMs = performance.now() + this.#returnMs;
    this.#wasLost ||= !up;
  }

  get #returnMs(): number {
    return Math.max(RETURN_MS_MIN, this.claimMs);
  }

  /** As of the last answer of Redis. */
  get size(): number {
    return this.#size;
  }

  async put(record: TaskRecord, call?: TaskCall): Promise<PutAnswer> {
    const { taskId } = record;
    const { claimMs, nodeId, start, tasksMax } = this.#options;
    const claim = this.#claims.get(taskId);
    const isEnd = isTerminal(record.status);
    const answer = (await this.#run(
      PUT,
      [this.#taskBase + taskId, this.#all, this.#endedKey, this.#claimsKey, this.#sinceKey],
      [
        taskId,
        claim?.token ?? '',
        claim?.since ?? '',
        packRecord(record),
        isEnd ? '1' : '0',
        record.ttlMs ?? TTL_MS_MAX,
        claimMs,
        tasksMax,
        call === undefined ? '' : packCall(call),
        this.#taskBase,
        TTL_MS_MAX,
        nodeId,
        start,
      ],
    )) as readonly RedisReply[];
    const [what, token, since, size] = answer;
    if (size !== undefined) this.#size = Number(size);
    const told = String(what) as PutAnswer;
    if (told === 'stored' && !isEnd) this.#claims.set(taskId, { token: String(token), since: String(since) });
    else this.#claims.delete(taskId);
    return told;
  }

  async get(taskId: string): Promise<TaskRecord | undefined> {
    return unpackRecord(await this.#options.commands.commandBytes('HGET', this.#taskBase + taskId, 'r'));
  }

  async delete(taskId: string): Promise<void> {
    const keys = [this.#taskBase + taskId, this.#all, this.#endedKey, this.#claimsKey];
    this.#size = Number(await this.#run(DELETE, keys, [taskId]));
    // Not before: what could not be deleted is still this node's to write.
    this.#claims.delete(taskId);
  }

  sweep(_nowMs: number): void {
    if (this.#sweeping || !this.#options.commands.up) return;
    this.#sweeping = true;
    const keys = [this.#taskBase, this.#all, this.#endedKey, this.#claimsKey];
    this.#run(SWEEP, keys, [this.#taskBase])
      .then((size) => {
        this.#size = Number(size);
      })
      // Redis went away: the next sweep does it.
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = false;
      });
  }

  async renew(): Promise<TaskNews> {
    const news = { lost: [] as string[], answered: [] as string[], missing: [] as string[] };
    const claims = [...this.#claims];
    for (let i = 0; i < claims.length; i += RENEWED_AT_ONCE) {
      await this.#renewSome(claims.slice(i, i + RENEWED_AT_ONCE), news);
    }
    return news;
  }

  async #renewSome(
    claims: readonly (readonly [string, Claim])[],
    news: { lost: string[]; answered: string[]; missing: string[] },
  ): Promise<void> {
    const keys = [this.#claimsKey, this.#sinceKey, ...claims.map(([taskId]) => this.#taskBase + taskId)];
    const args = claims.flatMap(([taskId, { token, since }]) => [taskId, token, since]);
    const told = (await this.#run(RENEW, keys, [this.claimMs, ...args])) as readonly number[];
    claims.forEach(([taskId, claim], i) => {
      // A write that was answered meanwhile knows better.
      if (this.#claims.get(taskId) !== claim) return;
      if (told[i] === 0) {
        this.#claims.delete(taskId);
        news.lost.push(taskId);
      } else if (told[i] === 2) news.answered.push(taskId);
      else if (told[i] === 3) news.missing.push(taskId);
    });
  }

  async takeOrphans(): Promise<readonly Orphan[]> {
    const keys = [this.#sinceKey, this.#claimsKey, this.#lookedKey];
    const { nodeId, prefix, start } = this.#options;
    const patienceMs = PATIENCE_CLAIMS * this.claimMs;
    const pauseMs = Math.max(OUTAGE_MS_MIN, LOOKS_WITHIN_CLAIMS * this.claimMs);
    const waits = performance.now() < this.#waitsUntilMs ? 1 : 0;
    const node = [presenceKey(prefix, ''), patienceMs, nodeId, start];
    const outage = [pauseMs, this.#returnMs, waits, TTL_MS_MAX];
    const args = [this.#taskBase, this.claimMs, ORPHANS_AT_ONCE, ...node, ...outage];
    const [since, taken] = (await this.#run(TAKE_ORPHANS, keys, args)) as readonly [
      Buffer,
      readonly (readonly RedisReply[])[],
    ];
    const orphans: Orphan[] = [];
    for (const [token, packed, call, lostNodes, isOwn] of taken) {
      const record = unpackRecord(packed);
      // Written by a version this one does not know: a node of that version will claim it.
      if (record === undefined) continue;
      // This node stood still since it renewed, and still runs it. What it does not know was its own when an answer of
      // the store was lost.
      if (isOwn === 1 && this.#claims.has(record.taskId)) continue;
      this.#claims.set(record.taskId, { token: String(token), since: String(since) });
      orphans.push({ record, call: unpackCall(call), lostNodes: Number(lostNodes) });
    }
    return orphans;
  }

  async release(taskId: string): Promise<void> {
    const claim = this.#claims.get(taskId);
    this.#claims.delete(taskId);
    if (claim === undefined) return;
    await this.#run(RELEASE, [this.#taskBase + taskId, this.#claimsKey], [taskId, claim.token]);
    await this.#tell('');
  }

  async end(taskId: string, status: 'cancelled', statusMessage: string): Promise<TaskRecord | undefined> {
    const key = this.#taskBase + taskId;
    for (let attempt = 0; attempt < END_ATTEMPTS; attempt += 1) {
      const before = await this.#options.commands.commandBytes('HGET', key, 'r');
      const record = unpackRecord(before);
      if (record === undefined || nextStatus(record.status, status) === null) return record;
      record.status = status;
      record.statusMessage = statusMessage;
      record.lastUpdatedAt = Math.max(record.lastUpdatedAt, Date.now());
      record.inputRequests.clear();
      const args = [taskId, before as Buffer, packRecord(record)];
      const done = await this.#run(END, [key, this.#endedKey, this.#claimsKey], args);
      if (done !== 1) continue;
      await this.#tell(taskId);
      return record;
    }
    throw new Error(`task ${taskId} changes faster than it can be ended`);
  }

  async leaveAnswers(taskId: string, answers: ReadonlyMap<string, string>): Promise<void> {
    if (answers.size === 0) return;
    await this.#run(LEAVE_ANSWERS, [this.#taskBase + taskId], [...answers].flat());
    await this.#tell(taskId);
  }

  async takeAnswers(taskId: string): Promise<ReadonlyMap<string, string> | null> {
    const claim = this.#claims.get(taskId);
    if (claim === undefined) return null;
    const found = (await this.#run(TAKE_ANSWERS, [this.#taskBase + taskId], [claim.token])) as readonly Buffer[] | null;
    if (found === null) return null;
    const answers = new Map<string, string>();
    for (let i = 0; i < found.length; i += 2) answers.set(String(found[i]), String(found[i + 1]));
    return answers;
  }

  /** Whoever does not hear of it finds out at its next renewal. */
  async #tell(taskId: string): Promise<void> {
    const { commands, subscriber } = this.#options;
    await commands.command(subscriber.publishCommand, this.#channel, taskId).catch(() => undefined);
  }

  #run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#options.commands.script(script, keys, args);
  }
}
