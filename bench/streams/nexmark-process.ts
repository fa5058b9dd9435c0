/**
 * One Nexmark query through the whole engine on one thread: `nexmark-process.js '{"query":"q5","events":…,"rounds":…}'`.
 *
 * Role: prints what was measured as one line of JSON, in the shape of `measure.ts`. Events counted are those fed to the
 * streams that the query declares (bids alone for most), from NDJSON bytes to result lines that a sink has taken; making
 * the bytes is not in it. That the results are right is the business of the tests, over the same definitions.
 */
import { CONNECTOR_KINDS } from '../../src/streams/engine/connectors/connectors.ts';
import { openStreams } from '../../src/streams/open.ts';
import { openStores } from '../../src/streams/stores.ts';
import { type FeedBatch, feed } from '../../test/streams/nexmark/feed.ts';
import { queryNamed } from '../../test/streams/nexmark/queries.ts';
import type { NexmarkQuery } from '../../test/streams/nexmark/streams.ts';
import { countingSink } from './counting-sink.ts';
import { collectGarbage } from './garbage.ts';
import { createTotals } from './job.ts';
import { type Measured, median } from './measure.ts';
import { TimedThreads } from './timed-threads.ts';

export interface NexmarkArguments {
  readonly query: string;
  readonly events: number;
  readonly rounds: number;
}

const EVENTS_PER_BATCH = 10_000;
/** Fed before anything is timed, in as many runs as that takes: queries that see few events are compiled by then as well. */
const WARM_UP_EVENTS = 500_000;
/** Batches on their way at once. */
const AHEAD = 8;
const NEVER_MS = 2 ** 30;
const MIB = 2 ** 20;

interface Ran {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly taskUs: number;
  readonly lines: number;
}

async function run(query: NexmarkQuery, batches: readonly FeedBatch[]): Promise<Ran> {
  const { operator, stream } = query.answer;
  const definitions = query.streams.map((each) =>
    each.name === stream ? { ...each, sinks: [...(each.sinks ?? []), { type: 'count', of: [operator] }] } : each,
  );
  let lines = 0;
  const sink = countingSink((more) => {
    lines += more;
  });
  let nowMs = 1_000_000;
  let threads: TimedThreads | null = null as TimedThreads | null;
  const silent = { error: () => undefined, warn: () => undefined, info: () => undefined };
  const streams = await openStreams({
    definitions,
    shards: 4,
    logBytesMax: 2 ** 34,
    checkpointMs: NEVER_MS,
    tickMs: 200,
    kinds: { ...CONNECTOR_KINDS, sinks: new Map([...CONNECTOR_KINDS.sinks, ['count', sink]]) },
    stores: () => openStores({ definitions, dataDir: '', logBytesMax: 2 ** 34 }),
    threads(parts) {
      threads = new TimedThreads(parts);
      return threads;
    },
    log: silent,
    now: () => nowMs,
    monotonic: () => nowMs,
  });
  const heading = { partition: '', position: '', batchId: '', traceparent: '', correlationId: '' };
  collectGarbage();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const pending: Promise<unknown>[] = [];
  for (const { body, stream: name } of batches) {
    pending.push(streams.service.accept(name, 'nexmark', { ...heading, format: 'ndjson', body }));
    if (pending.length >= AHEAD) await pending.shift();
  }
  await Promise.all(pending);
  // Windows of processing time close.
  nowMs += 3_600_000;
  streams.tick();
  await streams.settled();
  const { system, user } = process.cpuUsage(cpu);
  const ran = { wallMs: performance.now() - began, cpuMs: (system + user) / 1000, taskUs: threads?.us ?? 0, lines };
  await streams.close();
  return ran;
}

function linesIn({ body }: FeedBatch): number {
  let count = 0;
  for (const byte of body) if (byte === 10) count++;
  return count;
}

async function main({ events, query: name, rounds }: NexmarkArguments): Promise<void> {
  const query = queryNamed(name);
  const batches = [...feed(query, { generator: {}, events, eventsPerBatch: EVENTS_PER_BATCH })];
  const fed = batches.reduce((sum, batch) => sum + linesIn(batch), 0);
  const first = await run(query, batches);
  for (let warm = fed; warm < WARM_UP_EVENTS; warm += fed) await run(query, batches);
  const ran: Ran[] = [];
  for (let round = 0; round < rounds; round++) ran.push(await run(query, batches));
  if (ran.some(({ lines }) => lines !== first.lines))
    throw new Error(`${name} gave other numbers of results in another run`);
  const wallMs = median(ran.map((each) => each.wallMs));
  const totals = { ...createTotals(), groups: first.lines, count: fed };
  const measured: Measured = {
    peer: name,
    input: 'ndjson',
    events: fed,
    eventsPerS: Math.round((fed * 1000) / wallMs),
    nsPerEvent: Math.round((wallMs * 1e6) / fed),
    cpuNsPerEvent: Math.round((median(ran.map(({ cpuMs }) => cpuMs)) * 1e6) / fed),
    taskNsPerEvent: Math.round((median(ran.map(({ taskUs }) => taskUs)) * 1e3) / fed),
    rssMiB: Math.round(process.memoryUsage.rss() / MIB),
    check: totals,
    totals,
  };
  process.stdout.write(`${JSON.stringify(measured)}\n`);
}

await main(JSON.parse(process.argv[2] ?? '{}') as NexmarkArguments);
