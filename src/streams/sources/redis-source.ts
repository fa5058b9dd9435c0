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
 * Exactly once: an entry is acknowledged after `accept` has resolved, and its id is in the log with its events, beside the
 * reader it was handed to (`redis-readers.ts`). Of what Redis still holds as pending for that reader, the entries up to
 * the id are acknowledged without being accepted again, and the others are taken in order. What was handed to any other
 * reader of this source, and what is claimed, may be older than that id: it is taken one by one with the entry's id as the
 * batch id, which the engine remembers. So nothing is acknowledged that is not known to be in the log, however often a
 * node loses its power. What others left is looked for at each beginning and every `LEFT_MS`.
 * What stays: an entry whose first consumer, of another node, logged it and ended before acknowledging it is in both logs.
 * Entries up to the id that the group hands over as new ones, since it was set back, are taken for known.
 * Every failure of Redis begins again, under a new name, after a pause.
 */
import { RedisConnection } from '../../redis/connection.ts';
import { pauseMs } from '../../redis/topology.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import { pauseUnless } from '../../waiting.ts';
import {
  optionalChoice,
  optionalFile,
  optionalInteger,
  optionalText,
  optionalTexts,
  redisUrl,
  requiredText,
  TLS_NEED,
} from '../connector-options.ts';
import type { Source, SourceHost, SourceKind } from './port.ts';
import {
  type Entry,
  entriesOf,
  entriesRead,
  eventLine,
  isAfter,
  listOf,
  type Mapping,
  memberOf,
} from './redis-entries.ts';
import { CLAIMED, FORGET, nameOf, newTag, type Position, positionOf, positionText, tagOf } from './redis-readers.ts';
import { RedisTrimmer } from './redis-trimmer.ts';
import { acceptUntilTaken } from './until-taken.ts';

const BATCH_BYTES_MAX = 1024 * 1024;
const GROUP = 'millrace';
const HOUR_MS = 3_600_000;
const ANSWER_MS_MAX = 10_000;
const CLAIM_CHECK_MS_MIN = 1000;
/** Between looks at what other readers left; one that was heard of since then may still be at it. */
const LEFT_MS = 5_000;

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
  needs: [
    TLS_NEED,
    {
      options: ['numbers', 'booleans'],
      isMet: ({ field }) => field === undefined,
      expected: 'no field beside it: that holds the whole event as JSON, with numbers and booleans',
    },
  ],
  reads(options) {
    const { host, pathname } = new URL(redisUrl(options, 'redis'));
    const key = requiredText(options, 'redis', 'stream');
    return JSON.stringify([host, pathname, key, optionalText(options, 'redis', 'group', GROUP)]);
  },
  create(options, stream, host) {
    const name = `${stream}/redis`;
    const given: RedisSourceOptions = {
      url: redisUrl(options, name),
      key: requiredText(options, name, 'stream'),
      group: optionalText(options, name, 'group', GROUP),
      consumer: optionalText(options, name, 'consumer', `millrace-${stream}`),
      batch: optionalInteger(options, name, 'batch', 500, 1, 10_000),
      blockMs: optionalInteger(options, name, 'blockMs', 1000, 1, 60_000),
      claimIdleMs: optionalInteger(options, name, 'claimIdleMs', 0, 0, 24 * HOUR_MS),
      from: optionalChoice(options, name, 'from', ['beginning', 'end']),
      maxLen: optionalInteger(options, name, 'maxLen', 0, 0, 1e9),
      field: optionalText(options, name, 'field', ''),
      numbers: new Set(optionalTexts(options, name, 'numbers')),
      booleans: new Set(optionalTexts(options, name, 'booleans')),
      tlsCaFile: optionalFile(options, name, 'tlsCaFile', host.fileAt),
    };
    return new RedisSource(given, name, host);
  },
};

class RedisSource implements Source {
  readonly done: Promise<void>;
  readonly #options: RedisSourceOptions;
  readonly #name: string;
  readonly #host: SourceHost;
  /** In a row. */
  #failures = 0;
  readonly #redis: RedisConnection;
  readonly #trimmer: RedisTrimmer;
  readonly #stop = new AbortController();
  #position: Position = { id: '', tag: '' };
  /** Of the connection that reads now. */
  #tag = '';
  /** Monotonic ms, as `#claimAtMs`. */
  #leftAtMs = 0;
  #toldKept = false;
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
    this.#position = positionOf(positions.get(this.#options.key) ?? '');
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

  get failing(): boolean {
    return this.#failures > 0;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#redis.ready();
        await this.#ensureGroup();
        this.#tag = newTag();
        await this.#takeLeft(0);
        this.#failures = 0;
        while (!this.#stopped) {
          await this.#takeNew();
          await this.#claim();
          if (performance.now() >= this.#leftAtMs) await this.#takeLeft(LEFT_MS);
        }
      } catch (error) {
        if (error instanceof NotTaken) throw error.cause;
        if (this.#stopped) return;
        this.#failures += 1;
        const waitMs = pauseMs(this.#failures, Math.random());
        const facts = { err: error, source: this.#name, redis: this.#redis.address, pauseMs: waitMs };
        this.#host.log.warn(facts, 'entries could not be read or acknowledged; retrying');
        await pauseUnless(this.#stop.signal, waitMs);
      }
    }
  }

  async #ensureGroup(): Promise<void> {
    const { from, group, key } = this.#options;
    // A group that Redis has lost goes on where the log is.
    const start = this.#position.id !== '' ? this.#position.id : from === 'end' ? '$' : '0';
    try {
      await this.#redis.command('XGROUP', 'CREATE', key, group, start, 'MKSTREAM');
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.code !== 'BUSYGROUP') throw error;
    }
  }

  /** Handed to other readers of this source, not heard of for `idleMs`, and not acknowledged. */
  async #takeLeft(idleMs: number): Promise<void> {
    const { consumer, group, key } = this.#options;
    this.#leftAtMs = performance.now() + LEFT_MS;
    const done: string[] = [];
    const left: string[] = [];
    for (const facts of listOf(await this.#redis.command('XINFO', 'CONSUMERS', key, group))) {
      const name = memberOf(facts, 'name');
      const tag = tagOf(consumer, name);
      if (tag === null || tag === this.#tag) continue;
      if (memberOf(facts, 'pending') === '0') done.push(name);
      else if (Number(memberOf(facts, 'idle')) >= idleMs) left.push(name);
    }
    // What the log goes on from comes first: in order, and before anything is taken under a new name.
    left.sort((a, b) => Number(this.#isInOrder(b)) - Number(this.#isInOrder(a)));
    for (const name of left) await this.#takePending(name);
    await this.#forget([...done, ...left]);
  }

  /** The log has all of it up to the position, and nothing after it. */
  #isInOrder(name: string): boolean {
    return tagOf(this.#options.consumer, name) === this.#position.tag;
  }

  async #takePending(name: string): Promise<void> {
    for (let after = '0'; !this.#stopped; ) {
      const entries = await this.#read(name, after);
      if (entries.length === 0) return;
      if (this.#isInOrder(name)) {
        await this.#acknowledge(entries.filter(({ fields, id }) => fields === null || !this.#isNew(id)));
        await this.#take(
          entries.filter(({ fields, id }) => fields !== null && this.#isNew(id)),
          this.#position.tag,
        );
      } else await this.#takeClaimed(entries);
      after = (entries.at(-1) as Entry).id;
    }
  }

  #isNew(id: string): boolean {
    return isAfter(id, this.#position.id);
  }

  async #forget(names: readonly string[]): Promise<void> {
    const { consumer, group, key } = this.#options;
    const gone = names.filter((name) => name !== consumer && name !== nameOf(consumer, CLAIMED));
    if (gone.length === 0 || this.#stopped) return;
    try {
      await this.#redis.script(FORGET, [key], [group, ...gone]);
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.why !== 'refused') throw error;
      // It may not run scripts there: names stay behind, and nothing else.
      if (this.#toldKept) return;
      this.#toldKept = true;
      this.#host.log.warn({ err: error, source: this.#name }, 'consumers that are over cannot be removed');
    }
  }

  async #takeNew(): Promise<void> {
    this.#blocked = true;
    const entries = await this.#read(nameOf(this.#options.consumer, this.#tag), '>').finally(() => {
      this.#blocked = false;
    });
    const known = entries.filter(({ id }) => !this.#isNew(id));
    if (known.length > 0) {
      const facts = { source: this.#name, entries: known.length, position: this.#position.id };
      this.#host.log.warn(facts, 'entries up to the id in the log came again; they are acknowledged and not taken');
      await this.#acknowledge(known);
    }
    await this.#take(
      entries.filter(({ id }) => this.#isNew(id)),
      this.#tag,
    );
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

  /** In order, each part acknowledged when it is in the log. `tag`: of the reader they were handed to. */
  async #take(entries: readonly Entry[], tag: string): Promise<void> {
    for (let at = 0; at < entries.length && !this.#stopped; ) {
      const lines: Buffer[] = [];
      const from = at;
      for (let bytes = 0; at < entries.length && bytes < BATCH_BYTES_MAX; at++) {
        const line = eventLine(entries[at] as Entry, this.#options);
        lines.push(line, LINE_FEED);
        bytes += line.length;
      }
      const position = { id: (entries[at - 1] as Entry).id, tag };
      if (!(await this.#accept(Buffer.concat(lines), positionText(position), ''))) return;
      this.#position = position;
      await this.#acknowledge(entries.slice(from, at));
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
    await this.#trimmer.acknowledged(entries.length);
  }

  async #claim(): Promise<void> {
    const { batch, claimIdleMs, consumer, group, key } = this.#options;
    const nowMs = performance.now();
    if (claimIdleMs === 0 || nowMs < this.#claimAtMs) return;
    this.#claimAtMs = nowMs + Math.max(CLAIM_CHECK_MS_MIN, claimIdleMs / 2);
    for (let cursor = '0-0'; !this.#stopped; ) {
      const claimer = nameOf(consumer, CLAIMED);
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
