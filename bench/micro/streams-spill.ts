/**
 * What it costs that state is on disk between rounds: the same events with all state in memory, and with so many times
 * the state that memory may take (`onFull: spill`). The whole engine on one thread, from bytes, nothing is told until the
 * end; each variant in a process of its own, in turn.
 *
 * Run: node dist/bench/micro/streams-spill.js [rounds]
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LimitsDefinition, StreamDefinition, WindowDefinition } from '../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../src/streams/engine/connectors/connectors.ts';
import type { ApplyTask } from '../../src/streams/engine/task.ts';
import { type OpenStreams, openStreams } from '../../src/streams/open.ts';
import { openStores } from '../../src/streams/stores.ts';
import { eventChunks } from '../streams/data.ts';
import type { Job } from '../streams/job.ts';
import { TimedThreads } from '../streams/timed-threads.ts';

const KEYS = 500_000;
const EVENTS = 1_000_000;
/** The same events again: what is measured is the last pass, when all keys are there. */
const PASSES = 4;
const BATCH_EVENTS = 10_000;
const NEVER_MS = 2 ** 30;
const MIB = 2 ** 20;
/** Batches on their way at once: the longer the rounds, the fewer times state comes and goes. */
const AHEADS = [8, 100];
/** Memory for state and its copies; what it takes without a limit is told. */
const BUDGETS_MIB = [0, 64, 24];
const ROUNDS = Number(process.argv[2] ?? 5);

class CountedThreads extends TimedThreads {
  tasks = 0;

  override apply(task: ApplyTask): ReturnType<TimedThreads['apply']> {
    this.tasks += 1;
    return super.apply(task);
  }
}

interface Measured {
  readonly wallNs: number;
  readonly cpuNs: number;
  readonly rounds: number;
  readonly spilledMib: number;
  readonly rssMib: number;
}

function definitionWith(budgetMib: number): StreamDefinition {
  const spill: LimitsDefinition = { onFull: 'spill', stateBytesMax: budgetMib * MIB };
  const aggregates: WindowDefinition['aggregates'] = {
    n: 'count',
    sum: { fn: 'sum', of: 'value' },
    max: { fn: 'max', of: 'value' },
  };
  return {
    name: 's',
    schema: {
      fields: { ts: 'integer', key: 'string', value: 'number' },
      timestamp: { field: 'ts' },
      key: ['key'],
    },
    time: { maxFutureMs: 0, idleAfterMs: 0 },
    limits: {
      ...(budgetMib > 0 ? spill : { stateBytesMax: 2 ** 34 }),
      keysMax: 10 * KEYS,
      pendingBytesMax: 2 ** 28,
    },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: NEVER_MS, aggregates }],
  };
}

function openWith(definition: StreamDefinition, threads: (made: CountedThreads) => void): Promise<OpenStreams> {
  const definitions = [definition];
  return openStreams({
    definitions,
    shards: 8,
    logBytesMax: 2 ** 34,
    checkpointMs: NEVER_MS,
    tickMs: 200,
    kinds: CONNECTOR_KINDS,
    stores: () => openStores({ definitions, dataDir: '', logBytesMax: 2 ** 34 }),
    threads(parts) {
      const made = new CountedThreads(parts);
      threads(made);
      return made;
    },
    log: { error: console.error, warn: () => undefined, info: () => undefined },
    now: () => 0,
    monotonic: () => 0,
  });
}

async function run(budgetMib: number, ahead: number): Promise<Measured> {
  const shape = { events: EVENTS, keys: KEYS, ratePerS: EVENTS, sizeMs: NEVER_MS, slideMs: 0, gapMs: 0 };
  const batches = eventChunks({ name: 'tumbling', ...shape } as Job, BATCH_EVENTS);
  let threads: CountedThreads | null = null as CountedThreads | null;
  const { abandon, service } = await openWith(definitionWith(budgetMib), (made) => {
    threads = made;
  });
  const heading = { partition: '', position: '', batchId: '', traceparent: '', correlationId: '' };
  const pass = async (): Promise<void> => {
    const pending: Promise<unknown>[] = [];
    for (const body of batches) {
      pending.push(service.accept('s', 'bench', { ...heading, format: 'ndjson', body }));
      if (pending.length >= ahead) await pending.shift();
    }
    await Promise.all(pending);
  };
  for (let i = 1; i < PASSES; i++) await pass();
  const [cpu, began, tasks] = [process.cpuUsage(), performance.now(), threads?.tasks ?? 0];
  await pass();
  const wallMs = performance.now() - began;
  const { system, user } = process.cpuUsage(cpu);
  const measured = {
    wallNs: (wallMs * 1e6) / EVENTS,
    cpuNs: ((system + user) * 1e3) / EVENTS,
    rounds: (threads?.tasks ?? 0) - tasks,
    spilledMib: (service.list()[0]?.spilledBytes ?? 0) / MIB,
    rssMib: process.resourceUsage().maxRSS / 1024,
  };
  await abandon();
  return measured;
}

function inProcess(budgetMib: number, ahead: number): Measured {
  const text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), 'one', `${budgetMib}`, `${ahead}`]);
  return JSON.parse(text.toString('utf8')) as Measured;
}

if (process.argv[2] === 'one') {
  const measured = await run(Number(process.argv[3]), Number(process.argv[4]));
  process.stdout.write(JSON.stringify(measured));
} else {
  for (let round = 0; round < ROUNDS; round++) {
    for (const ahead of AHEADS) {
      for (const budgetMib of BUDGETS_MIB) {
        const { cpuNs, rounds, rssMib, spilledMib, wallNs } = inProcess(budgetMib, ahead);
        const name = budgetMib === 0 ? 'all in memory' : `${budgetMib} MiB`;
        const figures = `${wallNs.toFixed(0)} ns of wall, ${cpuNs.toFixed(0)} ns of CPU per event, ${rounds} rounds`;
        process.stdout.write(
          `${`${ahead} ahead`.padEnd(10)} ${name.padEnd(14)} ${figures}, ${spilledMib.toFixed(0)} MiB on disk, ${rssMib.toFixed(0)} MiB resident\n`,
        );
      }
    }
  }
}
