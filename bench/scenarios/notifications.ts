/**
 * Thousands of open notification streams: what each costs in memory, and how long news take to reach them all.
 *
 * Role: sessions with a GET stream, and `subscriptions/listen`. Memory is the growth of the server's resident size from
 * the first few hundred streams, when everything that is made once has been made, to the last one.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { StreamHolder } from '../load/stream-holder.ts';
import { LatencyHistogram } from '../measure/histogram.ts';
import { readTree } from '../measure/process-tree.ts';
import type { Sample } from '../report/model.ts';
import { control, millrace, toolFolder } from '../servers/commands.ts';
import { type ServerCommand, startServer } from '../servers/server-process.ts';
import { withoutNaN } from './load-variant.ts';
import type { Round, Scenario, Variant } from './scenario.ts';

interface StreamsVariant {
  readonly name: string;
  readonly role: Variant['role'];
  readonly quick: boolean;
  readonly kind: 'session' | 'listen';
  readonly count: number;
  readonly server: () => ServerCommand;
  /** Whether it has the tool that announces. */
  readonly announces: boolean;
}

const FIRST = 200;
const ANNOUNCEMENTS = 10;
/** For garbage of the opening to be collected and buffers to be given back. */
const SETTLE_MS = 1500;
const ROOM = '20000';

const ours = (): ServerCommand =>
  millrace(
    ...['--workers', '1', '--tools', toolFolder('streams'), '--max-connections', ROOM],
    ...['--sessions-max', ROOM, '--max-listen-streams', ROOM],
  );

const VARIANTS: readonly StreamsVariant[] = [
  ...([1000, 10_000] as const).flatMap((count): StreamsVariant[] => [
    {
      name: `${count.toLocaleString('en')} session streams`,
      role: 'millrace',
      quick: count === 1000,
      kind: 'session',
      count,
      server: ours,
      announces: true,
    },
    {
      name: `${count.toLocaleString('en')} listen streams`,
      role: 'millrace',
      quick: false,
      kind: 'listen',
      count,
      server: ours,
      announces: true,
    },
  ]),
  {
    name: 'SDK v1: 1,000 session streams',
    role: 'peer',
    quick: false,
    kind: 'session',
    count: 1000,
    server: () => control('sdk-v1', { sessions: true }),
    announces: false,
  },
];

function variant(streams: StreamsVariant): Variant {
  return { ...streams, measure: (round) => measure(streams, round) };
}

async function measure(streams: StreamsVariant, round: Round): Promise<Sample> {
  const server = await startServer(streams.server());
  try {
    return await server.during(round.stopped, async (stopped) => {
      const holder = new StreamHolder(stopped);
      try {
        return await held(streams, server.url, server.pid, holder, stopped);
      } finally {
        await holder.end();
      }
    });
  } finally {
    await server.end();
  }
}

async function held(
  { announces, count, kind }: StreamsVariant,
  url: string,
  pid: number,
  holder: StreamHolder,
  stopped: AbortSignal,
): Promise<Sample> {
  await holder.ask({ do: 'open', url, kind, count: FIRST }, 'opened');
  if (announces) await holder.ask({ do: 'listen', url, times: 1 }, 'heard');
  const before = await settledBytes(pid, stopped);
  const opened = await holder.ask({ do: 'open', url, kind, count: count - FIRST }, 'opened');
  const after = await settledBytes(pid, stopped);
  const heard = announces ? await holder.ask({ do: 'listen', url, times: ANNOUNCEMENTS }, 'heard') : null;
  const histogram = heard === null ? null : LatencyHistogram.decode(heard.histogram);
  return {
    figures: withoutNaN({
      streams: opened.open,
      residentKiBEach: (after - before) / 1024 / (count - FIRST),
      residentMiB: after / 1024 ** 2,
      fanOutP50Us: histogram?.percentileUs(50) ?? Number.NaN,
      fanOutP99Us: histogram?.percentileUs(99) ?? Number.NaN,
      failed: count - opened.open + (heard?.missing ?? 0),
    }),
    curveUs: histogram?.curve() ?? [],
    curveCount: histogram?.count ?? 0,
    intervals: [],
    client: 'own',
    problem: heard?.problem ?? opened.problem,
  };
}

async function settledBytes(pid: number, stopped: AbortSignal): Promise<number> {
  await wait(SETTLE_MS, undefined, { signal: stopped });
  return readTree(pid)?.residentBytes ?? Number.NaN;
}

export const notifications: Scenario = {
  name: 'notifications',
  title: 'open notification streams: memory each, and news to all of them',
  columns: ['streams', 'residentKiBEach', 'residentMiB', 'fanOutP50Us', 'fanOutP99Us', 'failed'],
  cannotShow: [
    'Memory the kernel keeps for the sockets: it is in no process.',
    'Fan-out apart from the client: one process reads all streams one after the other, and its time is in the figure.',
    'Slow readers: every stream here is read at once.',
  ],
  inSuite: { roundsMax: 1, variants: 'all' },
  roundsMax: 2,
  prepare: () => ({ variants: VARIANTS.map(variant), skipped: [] }),
};
