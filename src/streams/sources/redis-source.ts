/**
 * Redis Streams as a source, by a consumer group.
 *
 * Options: `url`, `stream` (the key), `group` (default `millrace`), `consumer` (default `millrace-{stream}`; must be one
 * name per node and stay the same over restarts), `batch` (entries at once, default 500), `blockMs` (default 1000),
 * `claimIdleMs` (entries that another consumer left alone for so long are taken over; 0, the default: never), `field`
 * (the field that holds an event as JSON) or flat fields as members, with `numbers` and `booleans` naming those that are
 * not texts, `from` (`beginning`, the default, or `end`: where a group that is not there yet begins), `maxLen` (what all
 * groups have done with is trimmed down to about so many entries; 0, the default: never), `tlsCaFile` (of certificate
 * authorities, for `rediss:`; default those of the system).
 *
 * Exactly once: an entry is acknowledged after `accept` has resolved, and its id is in the log with its events. Of the
 * entries Redis still holds as pending for this consumer after a crash, those up to the id in the log are acknowledged
 * without being accepted again. After a connection that broke, only those that it took itself: others were handed to a
 * reader of the same name that is no more, and are taken like those that are claimed. Entries that are claimed are older than that id; they are taken under a consumer name
 * of their own, `{consumer}.claimed`, one by one with the entry's id as the batch id, which the engine remembers.
 * What stays: an entry whose first consumer logged it and ended before acknowledging it is in both logs.
 * Every failure of Redis begins again at the pending entries, after a pause.
 */
import { RedisConnection } from '../../redis/connection.ts';
import { pauseMs } from '../../redis/topology.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import {
  optionalChoice,
  optionalInteger,
  optionalText,
  optionalTexts,
  redisUrl,
  requiredText,
} from '../connector-options.ts';
import type { Source, SourceHost, SourceKind } from './port.ts';
import { type Entry, entriesOf, entriesRead, eventLine, isAfter, listOf, type Mapping } from './redis-entries.ts';
import { RedisTrimmer } from './redis-trimmer.ts';
import { acceptUntilTaken, pauseUnless } from './until-taken.ts';

const BATCH_BYTES_MAX = 1024 * 1024;
const HOUR_MS = 3_600_000;
const ANSWER_MS_MAX = 10_000;
const CLAIM_CHECK_MS_MIN = 1000;

interface RedisSourceOptions extends Mapping {
  readonly url: string;
  readonly key: string;
  readonly group: string;
  readonly consumer: string;
  readonly batch: number;
  readonly blockMs: number;
  readonly claimIdleMs: number;
  readonly from: 'beginning' | 'end';
  readonly maxLen: number;
  readonly tlsCaFile: string;
}

export const redisSourceKind: SourceKind = {
  type: 'redis',
  options: [
    'url',
    'stream',
    'group',
    'consumer',
    'batch',
    'blockMs',
    'claimIdleMs',
    'from',
    'maxLen',
    'field',
    'numbers',
    'booleans',
    'tlsCaFile',
  ],
  create(options, stream, host) {
    const name = `${stream}/redis`;
    const given: RedisSourceOptions = {
      url: redisUrl(options, name),
      key: requiredText(options, name, 'stream'),
      group: optionalText(options, name, 'group', 'millrace'),
      consumer: optionalText(options, name, 'consumer', `millrace-${stream}`),
      batch: optionalInteger(options, name, 'batch', 500, 1, 10_000),
      blockMs: optionalInteger(options, name, 'blockMs', 1000, 1, 60_000),
      claimIdleMs: optionalInteger(options, name, 'claimIdleMs', 0, 0, 24 * HOUR_MS),
      from: optionalChoice(options, name, 'from', ['beginning', 'end']),
      maxLen: optionalInteger(options, name, 'maxLen', 0, 0, 1e9),
      field: optionalText(options, name, 'field', ''),
      numbers: new Set(optionalTexts(options, name, 'numbers')),
      booleans: new Set(optionalTexts(options, name, 'booleans')),
      tlsCaFile: optionalText(options, name, 'tlsCaFile', ''),
    };
    return new RedisSource(given, name, host);
  },
};

class RedisSource implements Source {
  readonly done: Promise<void>;
  readonly #options: RedisSourceOptions;
  readonly #name: string;
  readonly #host: SourceHost;
  readonly #redis: RedisConnection;
  readonly #trimmer: RedisTrimmer;
  readonly #stop = new AbortController();
  #position = '';
  /** What is pending up to the position is in the log; afterwards only what this source took itself. */
  #isResumed = false;
  /** Ids of entries that are in the log, and whose acknowledgement Redis has not answered. */
  readonly #unanswered = new Set<string>();
  #claimAtMs = 0;
  /** Waits for entries that may not come. */
  #blocked = false;
  #loop: Promise<void> = Promise.resolve();
  #finish: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor(options: RedisSourceOptions, name: string, host: SourceHost) {
    this.#options = options;
    this.#name = name;
    this.#host = host;
    // A read waits for entries first; beyond that no answer means that the connection is dead.
    const commandMsMax = options.blockMs + ANSWER_MS_MAX;
    this.#redis = new RedisConnection(options.url, name, host.log, { commandMsMax, tlsCaFile: options.tlsCaFile });
    this.#trimmer = new RedisTrimmer(this.#redis, options.key, options.maxLen);
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
  }

  /** Resolves at once: Redis may be away for now. */
  start(positions: ReadonlyMap<string, string>): Promise<void> {
    this.#position = positions.get(this.#options.key) ?? '';
    this.#loop = this.#run().then(this.#finish, this.#fail);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // What Redis hands over meanwhile stays pending there, and is found at the next start.
    if (this.#blocked) this.#redis.close();
    await this.#loop;
    this.#redis.close();
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      try {
        await this.#redis.ready();
        await this.#ensureGroup();
        await this.#takePending();
        failures = 0;
        while (!this.#stopped) {
          await this.#takeNew();
          await this.#claim();
        }
      } catch (error) {
        if (error instanceof NotTaken) throw error.cause;
        if (this.#stopped) return;
        failures += 1;
        const waitMs = pauseMs(failures, Math.random());
        const facts = { err: error, source: this.#name, redis: this.#redis.address, pauseMs: waitMs };
        this.#host.log.warn(facts, 'entries could not be read or acknowledged; it is tried again');
        await pauseUnless(this.#stop.signal, waitMs);
      }
    }
  }

  async #ensureGroup(): Promise<void> {
    const { from, group, key } = this.#options;
    // A group that Redis has lost goes on where the log is.
    const start = this.#position !== '' ? this.#position : from === 'end' ? '$' : '0';
    try {
      await this.#redis.command('XGROUP', 'CREATE', key, group, start, 'MKSTREAM');
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.code !== 'BUSYGROUP') throw error;
    }
  }

  /** Handed over before, and not acknowledged. */
  async #takePending(): Promise<void> {
    const { consumer } = this.#options;
    for (let after = '0', entries = await this.#read(consumer, after); entries.length > 0 && !this.#stopped; ) {
      const [known, strays] = [[] as Entry[], [] as Entry[]];
      for (const entry of entries.filter(({ id }) => !isAfter(id, this.#position))) {
        (this.#isResumed && !this.#unanswered.has(entry.id) ? strays : known).push(entry);
      }
      await this.#acknowledge([...known, ...entries.filter(({ fields }) => fields === null)]);
      await this.#takeClaimed(strays.filter(({ fields }) => fields !== null));
      await this.#take(entries.filter(({ fields, id }) => fields !== null && isAfter(id, this.#position)));
      after = (entries.at(-1) as Entry).id;
      entries = await this.#read(consumer, after);
    }
    this.#isResumed = true;
    const claimer = `${consumer}.claimed`;
    for (let entries = await this.#read(claimer, '0'); entries.length > 0 && !this.#stopped; ) {
      await this.#takeClaimed(entries);
      entries = await this.#read(claimer, (entries.at(-1) as Entry).id);
    }
  }

  async #takeNew(): Promise<void> {
    this.#blocked = true;
    const entries = await this.#read(this.#options.consumer, '>').finally(() => {
      this.#blocked = false;
    });
    const known = entries.filter(({ id }) => !isAfter(id, this.#position));
    if (known.length > 0) {
      const facts = { source: this.#name, entries: known.length, position: this.#position };
      this.#host.log.warn(facts, 'entries up to the id in the log came again; they are acknowledged and not taken');
      await this.#acknowledge(known);
    }
    await this.#take(entries.filter(({ id }) => isAfter(id, this.#position)));
  }

  async #read(consumer: string, after: string): Promise<readonly Entry[]> {
    const { batch, blockMs, group, key } = this.#options;
    const wait = after === '>' ? ['BLOCK', blockMs] : [];
    return entriesRead(
      await this.#redis.commandBytes(
        'XREADGROUP',
        'GROUP',
        group,
        consumer,
        'COUNT',
        batch,
        ...wait,
        'STREAMS',
        key,
        after,
      ),
    );
  }

  /** In order, each part acknowledged when it is in the log. */
  async #take(entries: readonly Entry[]): Promise<void> {
    for (let at = 0; at < entries.length && !this.#stopped; ) {
      const lines: Buffer[] = [];
      const from = at;
      for (let bytes = 0; at < entries.length && bytes < BATCH_BYTES_MAX; at++) {
        const line = eventLine(entries[at] as Entry, this.#options);
        lines.push(line, LINE_FEED);
        bytes += line.length;
      }
      const position = (entries[at - 1] as Entry).id;
      if (!(await this.#accept(Buffer.concat(lines), position, ''))) return;
      this.#position = position;
      const taken = entries.slice(from, at);
      for (const { id } of taken) this.#unanswered.add(id);
      await this.#acknowledge(taken);
    }
  }

  async #takeClaimed(entries: readonly Entry[]): Promise<void> {
    const { group, key } = this.#options;
    for (const entry of entries) {
      if (this.#stopped) return;
      const taken =
        entry.fields === null ||
        (await this.#accept(eventLine(entry, this.#options), '', `redis/${key}/${group}/${entry.id}`));
      if (taken) await this.#acknowledge([entry]);
    }
  }

  /** False when the source was stopped before it was taken. */
  async #accept(body: Uint8Array, position: string, batchId: string): Promise<boolean> {
    const batch = {
      format: 'ndjson',
      partition: this.#options.key,
      body,
      position,
      batchId,
      traceparent: '',
      correlationId: '',
    } as const;
    try {
      return await acceptUntilTaken(this.#host, batch, this.#stop.signal);
    } catch (cause) {
      throw new NotTaken('the stream does not take this source', { cause });
    }
  }

  async #acknowledge(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    const { group, key } = this.#options;
    await this.#redis.command('XACK', key, group, ...entries.map(({ id }) => id));
    for (const { id } of entries) this.#unanswered.delete(id);
    await this.#trimmer.acknowledged(entries.length);
  }

  async #claim(): Promise<void> {
    const { batch, claimIdleMs, consumer, group, key } = this.#options;
    const nowMs = this.#host.now();
    if (claimIdleMs === 0 || nowMs < this.#claimAtMs) return;
    this.#claimAtMs = nowMs + Math.max(CLAIM_CHECK_MS_MIN, claimIdleMs / 2);
    for (let cursor = '0-0'; !this.#stopped; ) {
      const claimer = `${consumer}.claimed`;
      const reply = listOf(
        await this.#redis.commandBytes('XAUTOCLAIM', key, group, claimer, claimIdleMs, cursor, 'COUNT', batch),
      );
      await this.#takeClaimed(entriesOf(reply[1] ?? null));
      cursor = String(reply[0]);
      if (cursor === '0-0') return;
    }
  }
}

const LINE_FEED = Buffer.from('\n');

/** Not a matter of Redis: trying again does not help. */
class NotTaken extends Error {}
