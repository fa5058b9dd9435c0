/**
 * Programs of shapes at work on bodies that are larger than the window they see: whatever is cut off at its end, whatever
 * shapes take turns and whatever needs another reader in between, rows and hashes of keys are those of `JSON.parse`.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hashKey } from '../../../src/streams/decode/key-hash.ts';
import { schemaOf } from '../../../src/streams/decode/stream-schema.ts';
import { randomFrom } from '../../random.ts';
import { decode, planOf, rowsOf } from './plan-of.ts';

const FIELDS = {
  ts: 'integer',
  key: 'string',
  value: 'number',
  note: 'string?',
  ok: 'boolean?',
  opt: 'number?',
} as const;
const KEYS = [['key'], ['note'], ['key', 'note'], ['value'], []] as const;
const WINDOW_BYTES = 32_768;

type Event = Record<string, unknown>;
type Random = () => number;

const below = (random: Random, n: number): number => Math.floor(random() * n);
const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)] as T;

function textOf(random: Random): string {
  const kind = below(random, 400);
  // Longer than the window, and longer than what is compared in one step.
  if (kind === 0) return 'x'.repeat(below(random, 2 * WINDOW_BYTES));
  if (kind < 20) return 'é€𝄞'.repeat(below(random, 5)) + 'k'.repeat(below(random, 20));
  if (kind < 24) return `a"b\\c\n${below(random, 9)}`;
  return 'k'.repeat(below(random, 20)) + below(random, 10 ** below(random, 6));
}

function numberOf(random: Random): number {
  const kind = below(random, 12);
  if (kind === 0) return random() * 10 ** (below(random, 40) - 20);
  if (kind < 4) return Number((random() * 1000).toFixed(below(random, 5)));
  if (kind === 4) return random();
  return below(random, 10 ** below(random, 16)) * (kind === 5 ? -1 : 1);
}

function eventOf(random: Random): Event {
  const maybe = (value: unknown): unknown => (below(random, 4) === 0 ? null : value);
  return {
    ts: 1_700_000_000_000 - below(random, 10 ** below(random, 13)),
    key: textOf(random),
    value: numberOf(random),
    note: maybe(textOf(random)),
    ok: maybe(below(random, 2) === 0),
    opt: maybe(numberOf(random)),
    more: [{ a: [1, textOf(random)] }, 'm'],
  };
}

/** Ways to write events: members in some order, some left out, spaces here and there. */
function writersOf(random: Random): ((event: Event) => string)[] {
  return Array.from({ length: 1 + below(random, 3) }, () => {
    const names = ['ts', 'key', 'value', 'note', 'ok', 'opt', 'more'].sort(() => random() - 0.5);
    const written = names.filter((name) => ['ts', 'key', 'value'].includes(name) || below(random, 3) > 0);
    const space = ' '.repeat(below(random, 3));
    return (event) =>
      `{${written.map((name) => `"${name}":${space}${JSON.stringify(event[name])}`).join(`,${space}`)}}`;
  });
}

function rowOf(text: string): Event {
  const event = JSON.parse(text) as Event;
  return Object.fromEntries(Object.keys(FIELDS).map((name) => [name, event[name] ?? null]));
}

describe('programs of shapes in their window', () => {
  for (const format of ['ndjson', 'json'] as const) {
    test(`rows and hashes of ${format} are those of JSON.parse`, () => {
      let taken = 0;
      for (let seed = 1; seed <= 25; seed++) {
        const random = randomFrom(seed);
        const plan = planOf(FIELDS, { timestamp: 'ts', keys: KEYS });
        const writers = writersOf(random);
        const runs = 1 + below(random, 40);
        let write = pick(random, writers);
        const texts = Array.from({ length: 200 + below(random, 1500) }, () => {
          if (below(random, runs) === 0) write = pick(random, writers);
          return write(eventOf(random));
        });
        const between =
          format === 'json' ? pick(random, [',', ', ', ' ,\r\n\t']) : pick(random, ['\n', '\r\n', '\n\n']);
        const body = format === 'json' ? `[${texts.join(between)}]` : texts.join(between);
        const expected = texts.map(rowOf);
        // The second time there are programs from the start.
        for (let time = 0; time < 2; time++) {
          const { accepted, events, tsMax } = decode(plan, format, body);
          assert.equal(accepted, texts.length, `seed ${seed}`);
          assert.deepEqual(rowsOf(events), expected, `seed ${seed}`);
          assert.equal(tsMax, Math.max(...expected.map(({ ts }) => ts as number)));
          assert.equal(events.original(0), texts[0]);
          assert.equal(events.original(texts.length - 1), texts.at(-1));
          KEYS.forEach((key, k) => {
            expected.forEach((row, at) => {
              const values = key.map((name) => row[name] as string | number | null);
              assert.equal((events.hashes[k] as Uint32Array)[at], hashKey(values) >>> 0, `seed ${seed}, row ${at}`);
            });
          });
        }
        const { shapes } = schemaOf(plan, 0);
        taken += format === 'json' ? shapes.array.size : shapes.lines.size;
      }
      assert.ok(taken >= 25, `${taken} programs`);
    });
  }
});
