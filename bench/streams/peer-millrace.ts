/**
 * millrace itself: the whole engine on one thread, from bytes to result lines.
 *
 * Role: what an operator gets, without sockets: log (in memory), decoding, interning, shards, watermarks, lateness,
 * evidence of each result, closing, and writing and reading back every result as JSON. No peer does most of that.
 * Input: NDJSON bytes, or typed columns in the format of `decode/column-format.ts`, in batches as they would come in.
 */
import { Packr } from 'msgpackr';
import { QUANTILE_EXACT_MAX } from '../../src/streams/aggregates/quantile.ts';
import { encodeColumns } from '../../src/streams/decode/column-format.ts';
import type { StreamDefinition, WindowDefinition } from '../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../src/streams/engine/connectors/connectors.ts';
import type { WireFormat } from '../../src/streams/engine/task.ts';
import { openStreams } from '../../src/streams/open.ts';
import { countOf } from '../../src/streams/sinks/line-batch.ts';
import type { SinkKind } from '../../src/streams/sinks/port.ts';
import { openStores } from '../../src/streams/stores.ts';
import { countingSink } from './counting-sink.ts';
import { eventChunks, eventColumns, keyText } from './data.ts';
import { addResult, createTotals, type Job, type Totals } from './job.ts';
import type { Peer, PeerRun } from './peer.ts';
import { TimedThreads } from './timed-threads.ts';

const BATCH_EVENTS = 10_000;
/** Batches on their way at once. */
const AHEAD = 8;
const NEVER_MS = 2 ** 30;
/** Of the event that closes all windows. */
const CLOSING_KEY = 'closing';
const CLOSING_LINE = `{"id":"s/w/{\\"key\\":\\"${CLOSING_KEY}`;
const CLOSING_MS = 10 ** 9;
/** The others' results are exact for any number of values; here, up to so many of a key and window on average. */
const EXACT_MAX: Readonly<Record<string, number>> = { p99: QUANTILE_EXACT_MAX, distinct: 512 };

function windowOf(job: Job): WindowDefinition {
  const aggregates: WindowDefinition['aggregates'] = {
    count: 'count',
    sum: { fn: 'sum', of: 'value' },
    min: { fn: 'min', of: 'value' },
    max: { fn: 'max', of: 'value' },
    ...(job.name === 'p99' ? { extra: { fn: 'quantile', of: 'value', q: 0.99, relativeError: 0.01 } } : {}),
    ...(job.name === 'distinct' ? { extra: { fn: 'distinct', of: 'value' } } : {}),
  };
  const base = { name: 'w', aggregates, retainRows: 1 };
  if (job.name === 'session') return { ...base, type: 'session', gapMs: job.gapMs };
  if (job.name === 'hop') return { ...base, type: 'hopping', sizeMs: job.sizeMs, slideMs: job.slideMs };
  return { ...base, type: 'tumbling', sizeMs: job.sizeMs };
}

function definitionOf(job: Job): StreamDefinition {
  return {
    name: 's',
    schema: {
      fields: { ts: 'integer', key: 'string', value: 'number' },
      timestamp: { field: 'ts' },
      key: ['key'],
    },
    time: { maxFutureMs: 0, idleAfterMs: 0 },
    limits: { keysMax: 10_000_000, stateBytesMax: 2 ** 34, pendingBytesMax: 2 ** 31 },
    windows: [windowOf(job)],
    sinks: [{ type: 'totals' }],
  };
}

/** Reads every result. */
function totalsSink(totals: Totals, counted: (results: number) => void): SinkKind {
  return {
    type: 'totals',
    guarantee: 'at-least-once',
    options: [],
    create: () => ({
      open: () => Promise.resolve(0),
      write(batch) {
        const { lines } = batch;
        counted(countOf(batch));
        for (const line of lines) {
          if (line.startsWith(CLOSING_LINE)) continue;
          const startAt = line.indexOf('"start":') + 8;
          const valuesAt = line.indexOf('"values":') + 9;
          const start = Number(line.slice(startAt, line.indexOf(',', startAt)));
          const values = JSON.parse(line.slice(valuesAt, line.indexOf('}', valuesAt) + 1)) as Record<string, number>;
          const { count, extra, max, min, sum } = values;
          addResult(totals, start, count ?? 0, sum ?? 0, min ?? 0, max ?? 0, extra ?? 0);
        }
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    }),
  };
}

/**
 * The newest engine, held as a server holds its own. V8 throws compiled code away with the last object of the classes that
 * it is for: were every engine gone before the next one comes, each round would begin with compiling all of it.
 */
const held: unknown[] = [];

interface Ran {
  /** Of results that were read. */
  readonly totals: Totals;
  readonly results: number;
  readonly taskUs: number;
}

async function run(job: Job, format: WireFormat, batches: readonly Uint8Array[], reads: boolean): Promise<Ran> {
  const totals = createTotals();
  let results = 0;
  const counted = (more: number): void => {
    results += more;
  };
  const sink = reads ? totalsSink(totals, counted) : countingSink(counted);
  let timed: TimedThreads | null = null as TimedThreads | null;
  const definitions = [definitionOf(job)];
  const silent = { error: () => undefined, warn: () => undefined, info: () => undefined };
  const streams = await openStreams({
    definitions,
    shards: 4,
    logBytesMax: 2 ** 34,
    checkpointMs: NEVER_MS,
    // As by default: with it the state is copied, and what could be applied again forgotten, when that is long.
    tickMs: 200,
    kinds: { ...CONNECTOR_KINDS, sinks: new Map([['totals', sink]]) },
    stores: () => openStores({ definitions, dataDir: '', logBytesMax: 2 ** 34 }),
    threads(parts) {
      timed = new TimedThreads(parts);
      return timed;
    },
    log: silent,
    now: () => 0,
    monotonic: () => 0,
  });
  const heading = { partition: '', position: '', batchId: '', traceparent: '', correlationId: '' };
  const pending: Promise<unknown>[] = [];
  for (const body of batches) {
    pending.push(streams.service.accept('s', 'bench', { ...heading, format, body }));
    if (pending.length >= AHEAD) await pending.shift();
  }
  const closing = Buffer.from(JSON.stringify({ ts: CLOSING_MS + job.events, key: CLOSING_KEY, value: 0 }));
  await Promise.all([
    ...pending,
    streams.service.accept('s', 'bench', { ...heading, format: 'ndjson', body: closing }),
  ]);
  await streams.settled();
  await streams.close();
  held[0] = streams;
  return { totals, results, taskUs: timed?.us ?? 0 };
}

function columnBatches(job: Job): Uint8Array[] {
  const { count, key, ts, value } = eventColumns(job);
  const batches: Uint8Array[] = [];
  for (let from = 0; from < count; from += BATCH_EVENTS) {
    const to = Math.min(count, from + BATCH_EVENTS);
    const texts = Array.from(key.subarray(from, to), keyText);
    batches.push(encodeColumns({ ts: ts.slice(from, to), key: texts, value: value.slice(from, to) }));
  }
  return batches;
}

function msgpackBatches(job: Job): Uint8Array[] {
  const { count, key, ts, value } = eventColumns(job);
  const packr = new Packr({ useRecords: false });
  const batches: Uint8Array[] = [];
  for (let from = 0; from < count; from += BATCH_EVENTS) {
    const events = Array.from({ length: Math.min(count, from + BATCH_EVENTS) - from }, (_, i) => ({
      ts: ts[from + i] as number,
      key: keyText(key[from + i] as number),
      value: value[from + i] as number,
    }));
    batches.push(Uint8Array.from(packr.pack(events)));
  }
  return batches;
}

function millracePeer(name: string, input: Peer['input'], format: WireFormat, make: (job: Job) => Uint8Array[]): Peer {
  return {
    name,
    input,
    refuses: (job) => {
      const exactMax = EXACT_MAX[job.name] ?? Number.POSITIVE_INFINITY;
      const values = (job.ratePerS * job.sizeMs) / 1000 / job.keys;
      return values > exactMax ? `more than ${exactMax} values: a sketch, not exact` : '';
    },
    eventsMax: (job) => job.events,
    prepare(job): PeerRun {
      const batches = make(job);
      let taskUs = 0;
      let first: Ran | null = null;
      return {
        /** The first time every result is read; then, where it is timed, results are told apart by their number. */
        async run() {
          const ran = await run(job, format, batches, first === null);
          first ??= ran;
          if (ran.results !== first.results) throw new Error(`${ran.results} results, before ${first.results}`);
          taskUs = ran.taskUs;
          return first.totals;
        },
        taskUs: () => taskUs,
      };
    },
  };
}

export const millraceNdjson = millracePeer('millrace, NDJSON', 'ndjson', 'ndjson', (job) =>
  eventChunks(job, BATCH_EVENTS),
);
export const millraceMsgpack = millracePeer('millrace, MessagePack', 'msgpack', 'msgpack', msgpackBatches);
export const millraceColumns = millracePeer('millrace, columns', 'columns', 'columns', columnBatches);
