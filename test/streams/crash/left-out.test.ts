/**
 * The process is ended at any moment, again and again, while batches that end threads are among good ones: what the sinks of
 * chained streams got, the dead letters and the answers are in the end those of a process that was never ended.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { randomFrom } from '../../random.ts';
import { ChildNode } from './child-node.ts';
import { ENDS_APPLYING, ENDS_DECODING } from './deadly-threads.ts';
import type { SentBatch } from './node-child.ts';

const KILLS = 6;
const BATCHES = 64;
const IN_FLIGHT_MAX = 6;
const CHECKPOINT_MS = 25;
const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_122);
const PATIENCE_MS = 240_000;

const streamsIn = (folder: string): StreamDefinition[] => [
  {
    name: 's',
    durability: 'fsync',
    schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 50, aggregates: { n: 'count' } }],
    sinks: [
      { type: 'file', path: join(folder, 's.ndjson') },
      { type: 'stream', stream: 'sums' },
    ],
  },
  {
    name: 'sums',
    durability: 'fsync',
    schema: { fields: { end: 'integer', k: 'string', n: 'integer' }, timestamp: { field: 'end' }, key: ['k'] },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 200, aggregates: { n: { fn: 'sum', of: 'n' } } }],
    sinks: [{ type: 'file', path: join(folder, 'sums.ndjson') }],
  },
];

function batchesFrom(random: () => number): SentBatch[] {
  return Array.from({ length: BATCHES }, (_, i) => {
    const events: object[] = Array.from({ length: 5 }, () => ({
      at: i * 17 + Math.floor(random() * 30),
      k: `k${Math.floor(random() * 4)}`,
    }));
    if (i % 5 === 2) events.push({ at: 'no time', k: `${i}` });
    if (i % 6 === 3) events.push({ at: i * 17, k: ENDS_APPLYING });
    if (i % 16 === 7) events.push({ at: i * 17, k: ENDS_DECODING });
    const body = Buffer.from(events.map((event) => JSON.stringify(event)).join('\n'));
    const heading = { stream: 's', partition: '', source: 'test', arrivalMs: 1000 + i, format: 'ndjson' } as const;
    return { kind: 'batch', id: `b${i}`, ...heading, body };
  });
}

interface Outcome {
  readonly answers: Record<string, unknown>;
  readonly accepted: unknown;
  readonly letters: unknown;
  readonly lines: readonly string[][];
}

/** Sends in order until so many more are answered, or all. */
async function feed(child: ChildNode, batches: readonly SentBatch[], answers: Map<string, unknown>, count: number) {
  const left = batches.filter(({ id }) => !answers.has(id));
  const until = answers.size + Math.min(count, left.length);
  const more = (): void => {
    const batch = left.shift();
    if (batch !== undefined) child.tell(batch);
  };
  for (let i = 0; i < IN_FLIGHT_MAX; i++) more();
  while (answers.size < until) {
    const saying = await child.next();
    if (saying?.kind === 'trouble') continue;
    if (saying?.kind === 'taken') answers.set(saying.id, saying.accepted);
    else if (saying?.kind === 'refused' && /kept as dead letter/.test(saying.reason))
      answers.set(saying.id, saying.reason);
    else throw new Error(`the process said ${JSON.stringify(saying)}`);
    more();
  }
}

async function heard(child: ChildNode, kind: 'opened' | 'closed'): ReturnType<ChildNode['next']> {
  for (;;) {
    const saying = await child.next();
    if (saying?.kind === kind) return saying;
    // What was on its way when it was told to close, and what is left out by a replay.
    if (saying === null) throw new Error(`it ended before it had ${kind}`);
  }
}

async function run(kills: number, random: () => number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-left-out-'));
  const definitions = streamsIn(folder);
  const batches = batchesFrom(randomFrom(SEED));
  const answers = new Map<string, unknown>();
  const children: ChildNode[] = [new ChildNode()];
  try {
    for (let life = 0; ; life++) {
      const child = children[life] as ChildNode;
      if (life < kills) children.push(new ChildNode());
      await child.says('loaded');
      child.tell({ kind: 'open', definitions, dataDir: join(folder, 'data'), checkpointMs: CHECKPOINT_MS });
      if (life < kills && random() < 0.2) await delay(random() * 80);
      else {
        await heard(child, 'opened');
        const count = life === kills ? BATCHES : Math.ceil((random() * 2 * BATCHES) / (KILLS + 1));
        await feed(child, batches, answers, count);
        if (life === kills) {
          child.tell({ kind: 'close' });
          const closed = await heard(child, 'closed');
          assert.ok(closed?.kind === 'closed');
          const lines = ['s', 'sums'].map((name) => linesOf(join(folder, `${name}.ndjson`)));
          const { accepted, letters } = closed;
          return { answers: Object.fromEntries([...answers].sort()), accepted, letters, lines };
        }
        await delay(random() * 10);
      }
      await child.kill();
    }
  } finally {
    for (const child of children) await child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

const linesOf = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"millrace"'));

test(`ended ${KILLS} times, it has told and kept what one that was never ended has`, {
  timeout: PATIENCE_MS,
}, async () => {
  const smooth = await run(0, () => 0);
  const random = randomFrom(SEED);
  assert.deepEqual(await run(KILLS, random), smooth);
  const refused = Object.values(smooth.answers).filter((answer) => typeof answer === 'string');
  assert.equal(refused.length, 14);
});
