/**
 * The process is ended at any moment, again and again (faults 30 and 32): while it takes batches, flushes its log, saves
 * a checkpoint, delivers to a file, or restores what the one before left. What is in the files in the end is what one
 * that was never ended would have written, and every batch counts once, however often it was sent.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { Accepted } from '../../../src/streams/sources/port.ts';
import { randomFrom } from '../../random.ts';
import { admit } from '../oracle/admission.ts';
import { encodeBatch, type OracleCase, streamOf } from '../oracle/case.ts';
import { compareResults } from '../oracle/compare.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { ChildNode } from './child-node.ts';
import { batchesIn, namedCases, streamIn } from './named-cases.ts';
import type { SentBatch } from './node-child.ts';

const KILLS = 12;
const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_121);
const STREAMS = 6;
const BATCHES_MIN = 60;
const IN_FLIGHT_MAX = 8;
/** Often enough that some are cut short. */
const CHECKPOINT_MS = 25;
const PATIENCE_MS = 240_000;

/** The streams' batches in turn: in the order of its own stream each. */
function batchesOf(cases: readonly OracleCase[]): SentBatch[] {
  const rounds = Math.max(...cases.map(({ steps }) => steps.length));
  const sent: SentBatch[] = [];
  for (let n = 0; n < rounds; n++) {
    for (const given of cases) {
      const step = batchesIn(given)[n];
      if (step === undefined) continue;
      const { arrivalMs, partition, source, stream } = step;
      sent.push({ kind: 'batch', id: `${stream}-${n}`, stream, partition, source, arrivalMs, ...encodeBatch(step) });
    }
  }
  return sent;
}

class Sender {
  readonly #batches: readonly SentBatch[];
  readonly answers = new Map<string, Accepted>();
  again = 0;
  #next = 0;
  readonly #unanswered = new Set<string>();

  constructor(batches: readonly SentBatch[]) {
    this.#batches = batches;
  }

  get done(): boolean {
    return this.answers.size === this.#batches.length;
  }

  /** To a new process: what was not answered is sent again, and so is one that was. */
  begin(child: ChildNode, random: () => number): void {
    this.#unanswered.clear();
    this.#next = this.#batches.findIndex(({ id }) => !this.answers.has(id));
    const known = this.#batches[Math.floor(random() * this.#next)];
    if (known !== undefined && this.answers.has(known.id)) {
      child.tell(known);
      this.again += 1;
    }
    this.more(child);
  }

  more(child: ChildNode): void {
    for (; this.#unanswered.size < IN_FLIGHT_MAX; this.#next++) {
      const batch = this.#batches[this.#next];
      if (batch === undefined) return;
      if (this.answers.has(batch.id)) continue;
      this.#unanswered.add(batch.id);
      child.tell(batch);
    }
  }

  heard(id: string, accepted: Accepted): void {
    assert.deepEqual(accepted, this.answers.get(id) ?? accepted, `${id} was answered otherwise before`);
    this.answers.set(id, accepted);
    this.#unanswered.delete(id);
  }
}

/** Sends until so many more are answered. */
async function feed(child: ChildNode, sender: Sender, count: number): Promise<void> {
  const until = sender.answers.size + count;
  while (!sender.done && sender.answers.size < until) {
    const saying = await child.next();
    if (saying?.kind !== 'taken') throw new Error(`the process said ${JSON.stringify(saying)}`);
    sender.heard(saying.id, saying.accepted);
    sender.more(child);
  }
}

test(`ended ${KILLS} times at any moment, every event counts once and every result is written once`, {
  timeout: PATIENCE_MS,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
  const random = randomFrom(SEED);
  const pathOf = (name: string): string => join(folder, `${name}.ndjson`);
  const cases = namedCases({ seed: SEED, streams: STREAMS, batchesMin: BATCHES_MIN }, (stream) => ({
    ...stream,
    durability: 'fsync',
    dedup: { idsMax: 10_000 },
    sinks: [{ type: 'file', path: pathOf(stream.name) }],
  }));
  const definitions = cases.map(streamIn);
  const batches = batchesOf(cases);
  const sender = new Sender(batches);
  const perLife = batches.length / (KILLS + 1);
  const children: ChildNode[] = [new ChildNode()];
  try {
    for (let life = 0; ; life++) {
      const child = children[life] as ChildNode;
      // Loads while this one works.
      if (life < KILLS) children.push(new ChildNode());
      await child.says('loaded');
      child.tell({ kind: 'open', definitions, dataDir: join(folder, 'data'), checkpointMs: CHECKPOINT_MS });
      // Some do not live to see the end of their own start.
      if (life < KILLS && random() < 0.3) await delay(random() * 80);
      else {
        await child.says('opened');
        sender.begin(child, random);
        const count = life === KILLS ? Number.POSITIVE_INFINITY : Math.ceil(perLife * 1.3 * random());
        await feed(child, sender, count);
        if (life === KILLS) {
          child.tell({ kind: 'close' });
          const closed = await child.says('closed');
          assert.ok(closed.kind === 'closed');
          await check(cases, sender, closed.accepted, pathOf);
          break;
        }
        await delay(random() * 10);
      }
      await child.kill();
    }
  } finally {
    for (const child of children) await child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

async function check(
  cases: readonly OracleCase[],
  sender: Sender,
  accepted: Readonly<Record<string, number>>,
  pathOf: (name: string) => string,
): Promise<void> {
  assert.ok(sender.again > KILLS / 3, `only ${sender.again} answered batches were sent again`);
  for (const given of cases) {
    const { name, windows = [] } = streamIn(given);
    const window = windows[0] as WindowDefinition;
    const lines = readFileSync(pathOf(name), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{"millrace"'));
    const ids = lines.map((line) => (JSON.parse(line) as { readonly id: string }).id);
    assert.equal(new Set(ids).size, ids.length, `${name}: a result was written twice`);
    assert.equal(compareResults(await expectedWindows(given), lines, window), '', `${name}: ${JSON.stringify(window)}`);
    const { events, rejected } = admit(given, streamOf(given, name));
    const answers = [...sender.answers].filter(([id]) => id.startsWith(`${name}-`)).map(([, answer]) => answer);
    const sum = (member: keyof Accepted): number => answers.reduce((total, answer) => total + answer[member], 0);
    assert.deepEqual(
      { answered: sum('accepted'), rejected: sum('rejected'), counted: accepted[name] },
      { answered: events.length, rejected, counted: events.length },
      name,
    );
  }
}
