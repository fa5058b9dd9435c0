/**
 * Results whose memory is written again: whoever is slow, keeps results or asks for them later sees those it was given,
 * whatever came since.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { lineMemory } from '../../../src/streams/lines/line-memory.ts';
import type { SinkBatch, SinkKind } from '../../../src/streams/sinks/port.ts';
import { openRig } from './rig.ts';

const KEYS = 1500;
const ROUNDS = 30;
const aggregates = { v: { fn: 'sum' as const, of: 'v' } };

const definition: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', key: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['key'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [
    { name: 'all', type: 'tumbling', sizeMs: 1000, aggregates, retainRows: 3 * KEYS },
    { name: 'few', type: 'tumbling', sizeMs: 1000, aggregates, where: 'v % 100 == 7', retainRows: 1_000_000 },
  ],
  sinks: [{ type: 'slow' }, { type: 'slow', name: 'few', of: ['few'] }],
};

/** Takes what it is given when `open` resolves, each batch a turn later. */
function slowKind(open: Promise<void>, lines: string[][]): SinkKind {
  return {
    type: 'slow',
    guarantee: 'at-least-once',
    options: [],
    create: () => {
      const taken: string[] = [];
      return {
        open() {
          lines.push(taken);
          return Promise.resolve(0);
        },
        async write(batch: SinkBatch) {
          await open;
          taken.push(...batch.lines);
        },
        close: () => Promise.resolve(),
      };
    },
  };
}

const sumOf = (round: number, key: number): number => round * KEYS + key;

interface Said {
  readonly name: string;
  readonly start: number;
  readonly key: { readonly key: string };
  readonly values: { readonly v: number };
}

const saidBy = ({ key: { key }, name, start, values: { v } }: Said): string => `${name} ${start} ${key} ${v}`;

function expected(name: string, from: number, to: number): string[] {
  const said: string[] = [];
  for (let round = from; round < to; round++) {
    for (let key = 0; key < KEYS; key++) {
      const v = sumOf(round, key);
      if (name === 'all' || v % 100 === 7) said.push(`${name} ${round * 1000} k${key} ${v}`);
    }
  }
  return said.sort();
}

test('sinks that are slow, and questions, see the results they were given', async () => {
  const taken: string[][] = [];
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const kinds = { ...CONNECTOR_KINDS, sinks: new Map([['slow', slowKind(opened, taken)]]) };
  const rig = await openRig([definition], { kinds });
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const events = Array.from({ length: KEYS }, (_, key) => ({
        at: round * 1000,
        key: `k${key}`,
        v: sumOf(round, key),
      }));
      await rig.send('s', events);
    }
    open();
    await rig.settled();
    const said = taken.map((lines) => lines.map((line) => saidBy(JSON.parse(line) as Said)).sort());
    assert.deepEqual(said, [
      [...expected('all', 0, ROUNDS), ...expected('few', 0, ROUNDS)].sort(),
      expected('few', 0, ROUNDS),
    ]);
    const query = { stream: 's', key: null, fromMs: (ROUNDS - 2) * 1000, toMs: ROUNDS * 1000, limit: 3 * KEYS, by: '' };
    const rows = await Promise.all(
      ['all', 'few'].map((name) => rig.service.query({ ...query, name, include: 'closed' as const })),
    );
    const [all, few] = rows.map((answer) => (answer.rows as unknown as Said[]).map(saidBy)) as [string[], string[]];
    const right = new Set(expected('all', ROUNDS - 2, ROUNDS));
    // As many as an answer has at the most.
    assert.ok(all.length >= 1000 && new Set(all).size === all.length && all.every((said) => right.has(said)));
    assert.deepEqual(few.sort(), expected('few', ROUNDS - 2, ROUNDS));
    assert.ok(lineMemory.freeBytes > 0, 'blocks came back');
  } finally {
    open();
    await rig.close();
  }
});
