/**
 * Live streams: windows over events against other ways of doing the same, and Nexmark queries.
 *
 * Role: each row is a process of its own that runs the whole engine on one thread, from bytes to result lines (log,
 * decoding, watermarks, lateness, evidence, closing, JSON); `worker ns/ev` is what tasks of that take, which with worker
 * threads run there. Peers count windows and do nothing else.
 */
import type { Sample } from '../report/model.ts';
import { measureNexmark, measurePeer } from '../streams/apart.ts';
import type { JobName } from '../streams/job.ts';
import type { Measured, Refused } from '../streams/measure.ts';
import { PUBLISHED_LINES } from '../streams/published.ts';
import type { Round, Scenario, Variant } from './scenario.ts';
import { ingestVariants } from './stream-ingest.ts';
import { latencyVariants } from './stream-latency.ts';

interface Row {
  readonly job: JobName;
  readonly keys: number;
  readonly quick: boolean;
  readonly peers: readonly string[];
}

const EVERYONE = [
  'millrace, NDJSON',
  'millrace, MessagePack',
  'millrace, columns',
  'Map over JSON.parse',
  'rxjs over JSON.parse',
  'DuckDB append + SQL',
  'typed columns',
];
const NARROW = ['millrace, NDJSON', 'millrace, MessagePack', 'millrace, columns', 'Map over JSON.parse'];
const ROWS: readonly Row[] = [
  { job: 'tumbling', keys: 1000, quick: true, peers: EVERYONE },
  { job: 'tumbling', keys: 100_000, quick: false, peers: NARROW },
  { job: 'tumbling', keys: 1_000_000, quick: false, peers: NARROW },
  { job: 'hop', keys: 1000, quick: false, peers: [...NARROW, 'DuckDB append + SQL'] },
  { job: 'hop', keys: 100_000, quick: false, peers: NARROW },
  { job: 'session', keys: 1000, quick: false, peers: [...NARROW, 'DuckDB append + SQL'] },
  { job: 'session', keys: 100_000, quick: false, peers: NARROW },
  { job: 'p99', keys: 1000, quick: false, peers: [...NARROW, 'DuckDB append + SQL'] },
  { job: 'p99', keys: 100_000, quick: false, peers: NARROW },
  { job: 'distinct', keys: 1000, quick: false, peers: [...NARROW, 'DuckDB append + SQL'] },
];
const QUERIES = ['q0', 'q1', 'q2', 'q5', 'q7', 'q8', 'q11'];

const EVENTS = 2_000_000;
/** Where a round of as many lasts a sixth of a second, compiling a new engine's code would be a part of it. */
const TUMBLING_EVENTS = 4_000_000;
const QUICK_EVENTS = 500_000;
const NEXMARK_EVENTS = 1_000_000;
/** Rounds inside of one process, after one that warms up: the median counts. */
const INNER_ROUNDS = 3;

const countText = (count: number): string => (count >= 1_000_000 ? `${count / 1e6}M` : `${count / 1000}k`);

function peerVariant({ job, keys, quick }: Row, peer: string): Variant {
  const role = peer.startsWith('millrace') ? 'millrace' : peer === 'typed columns' ? 'limit' : 'peer';
  return {
    name: `${job} ${countText(keys)}: ${peer}`,
    role,
    quick: quick && (peer === 'millrace, NDJSON' || peer === 'Map over JSON.parse'),
    async measure({ plan, stopped }: Round): Promise<Sample> {
      const most = job === 'tumbling' && keys === 1000 ? TUMBLING_EVENTS : EVENTS;
      const events = plan.quick ? QUICK_EVENTS : most;
      return sampleOf(await measurePeer({ peer, job, keys, events, rounds: INNER_ROUNDS }, stopped));
    },
  };
}

function nexmarkVariant(query: string): Variant {
  return {
    name: `Nexmark ${query}`,
    role: 'millrace',
    quick: false,
    async measure({ stopped }: Round): Promise<Sample> {
      return sampleOf(await measureNexmark({ query, events: NEXMARK_EVENTS, rounds: INNER_ROUNDS }, stopped));
    },
  };
}

function sampleOf(measured: Measured | Refused): Sample {
  const nothing = { curveUs: [], curveCount: 0, intervals: [], client: '' };
  if ('refused' in measured) return { ...nothing, figures: {}, problem: measured.refused };
  const { cpuNsPerEvent, eventsPerS, rssMiB, taskNsPerEvent } = measured;
  return {
    ...nothing,
    figures: { eventsPerSecond: eventsPerS, cpuNsPerEvent, taskNsPerEvent, residentMiB: rssMiB },
    problem: '',
  };
}

export const streams: Scenario = {
  name: 'streams',
  title: 'live streams: windows against other ways, Nexmark, ingest over HTTP, event to notification',
  columns: ['eventsPerSecond', 'cpuNsPerEvent', 'taskNsPerEvent', 'p50Us', 'p99Us', 'p999Us', 'failed', 'residentMiB'],
  cannotShow: [
    'Peers have no watermarks, late events, evidence, or state that survives a crash; millrace rows write each result as JSON and hand it to a sink, which counts it when it is timed and reads it once before.',
    'Nexmark: events fed to the streams a query declares, on one thread, bytes to result lines, without sockets or disk. Figures published for other engines count all events of the generator, made inside of the engine, on many cores.',
    'Ingest: client and server share the cores.',
  ],
  published: PUBLISHED_LINES,
  inSuite: { roundsMax: 1, variants: 'judged' },
  roundsMax: Number.POSITIVE_INFINITY,
  prepare: () => ({
    variants: [
      ...ROWS.flatMap((row) => row.peers.map((peer) => peerVariant(row, peer))),
      ...QUERIES.map(nexmarkVariant),
      ...ingestVariants(),
      ...latencyVariants(),
    ],
    skipped: [],
  }),
};
