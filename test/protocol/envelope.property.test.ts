import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Envelope, VERSION_KEY } from '../../src/protocol/envelope.ts';
import { parseJson } from '../../src/protocol/json.ts';
import { idJsonOf, isJsonObject, messageKind, shapeFault } from '../../src/protocol/message-shape.ts';

const RUNS = 1000;

/** Chooses by a list of numbers, round and round, so that fast-check can shrink what was chosen. */
class Choices {
  readonly #numbers: readonly number[];
  #at = 0;
  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }
  /** True for about one in `n`. */
  oneIn(n: number): boolean {
    return this.next() % n === 0;
  }
  next(): number {
    const number = this.#numbers[this.#at++ % this.#numbers.length] as number;
    return number + this.#at;
  }
}

const SPACES = ['', '', '', ' ', '\n', '\t\r', '  \n  '];
const space = (choices: Choices): string => SPACES[choices.next() % SPACES.length] as string;

/** JSON text of a value with random white space and, unless `plain`, random escapes. */
function write(value: unknown, choices: Choices, plain: boolean): string {
  if (typeof value === 'string') return writeString(value, choices, plain);
  if (Array.isArray(value)) {
    return `[${value.map((item) => space(choices) + write(item, choices, plain) + space(choices)).join()}]`;
  }
  if (isJsonObject(value)) {
    const members = Object.entries(value).map(([key, member]) => writeMember(key, member, choices, plain));
    return `{${members.join()}${members.length === 0 ? space(choices) : ''}}`;
  }
  return JSON.stringify(value);
}

function writeMember(key: string, member: unknown, choices: Choices, plain: boolean): string {
  const name = writeString(key, choices, plain || !choices.oneIn(12));
  return `${space(choices)}${name}${space(choices)}:${space(choices)}${write(member, choices, plain)}${space(choices)}`;
}

function writeString(text: string, choices: Choices, plain: boolean): string {
  if (plain || !choices.oneIn(4)) return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

const plainText = fc.string({ unit: 'grapheme-ascii', maxLength: 24 }).filter((text) => !/["\\]/.test(text));
const anyText = fc.oneof(plainText, fc.string({ unit: 'binary', maxLength: 24 }));
const method = fc.oneof(
  fc.constantFrom('tools/call', 'resources/read', 'prompts/get', 'initialize', 'notifications/cancelled', 'ping'),
  plainText,
);

function shuffled(members: fc.Arbitrary<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> {
  return members.chain((object) => {
    const entries = Object.entries(object);
    const order = fc.shuffledSubarray(entries, { minLength: entries.length, maxLength: entries.length });
    return order.map((ordered) => Object.fromEntries(ordered));
  });
}

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const present = (object: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

const messages = (text: fc.Arbitrary<string>, extra: fc.Arbitrary<unknown>) => {
  const meta = shuffled(
    fc
      .record({
        progressToken: optional(fc.oneof(fc.nat(), text)),
        [VERSION_KEY]: optional(fc.constantFrom('2026-07-28', '2099-01-01')),
        'example.com/a': optional(extra),
      })
      .map(present),
  );
  const params = shuffled(
    fc
      .record({
        name: optional(fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: fc.nat() })),
        uri: optional(text),
        arguments: optional(extra),
        _meta: optional(fc.oneof({ weight: 5, arbitrary: meta }, { weight: 1, arbitrary: fc.nat() })),
      })
      .map(present),
  );
  return shuffled(
    fc
      .record({
        jsonrpc: fc.constant('2.0'),
        id: optional(fc.oneof(fc.integer(), fc.maxSafeInteger(), text)),
        method,
        params: optional(params),
        'x-more': optional(extra),
        idd: optional(extra),
      })
      .map(present),
  );
};
const choices = fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 });

/** What the envelope says is what the parsed value says. */
function agrees(envelope: Envelope, body: Uint8Array): void {
  if (envelope.kind === 'cold' || envelope.kind === 'duplicate') return;
  const parsed = parseJson(body);
  if (!parsed.ok) return;
  const value = parsed.value;
  assert.equal(shapeFault(value), null);
  assert.ok(isJsonObject(value));
  assert.equal(envelope.kind, messageKind(value));
  assert.equal(envelope.method, value['method']);
  if (envelope.kind === 'request') assert.equal(JSON.parse(envelope.idJson), JSON.parse(idJsonOf(value)));
  const params = isJsonObject(value['params']) ? value['params'] : {};
  const name = params[String(value['method']).startsWith('resources/') ? 'uri' : 'name'];
  assert.equal(envelope.name, typeof name === 'string' ? name : '');
  const meta = isJsonObject(params['_meta']) ? params['_meta'] : {};
  assert.equal(envelope.claimsStateless, Object.hasOwn(meta, VERSION_KEY));
}

describe('the envelope agrees with JSON.parse', () => {
  test('for messages with members in any order, any white space and any escapes', () => {
    const envelope = new Envelope();
    fc.assert(
      fc.property(messages(anyText, fc.jsonValue()), choices, (message, numbers) => {
        const text = write(message, new Choices(numbers), false);
        assert.equal(JSON.stringify(JSON.parse(text)), JSON.stringify(message));
        const body = Buffer.from(text);
        envelope.scan(body);
        agrees(envelope, body);
      }),
      { numRuns: RUNS },
    );
  });

  test('and does not leave a plain request to be parsed', () => {
    const envelope = new Envelope();
    fc.assert(
      fc.property(messages(plainText, fc.jsonValue()), choices, (message, numbers) => {
        const id = message['id'];
        fc.pre(message['method'] !== '' && (typeof id !== 'number' || Math.abs(id) < 1e15));
        // The scanner reads keys of `_meta` itself; here they are plain.
        const body = Buffer.from(write(message, new Choices(numbers), true));
        assert.equal(envelope.scan(body), id === undefined ? 'notification' : 'request');
        agrees(envelope, body);
      }),
      { numRuns: RUNS },
    );
  });

  test('whether the bytes are a Buffer or a Uint8Array in the middle of something', () => {
    const envelope = new Envelope();
    fc.assert(
      fc.property(messages(plainText, fc.jsonValue()), choices, (message, numbers) => {
        const body = Buffer.from(write(message, new Choices(numbers), true));
        const whole = new Uint8Array(body.length + 10).fill(0x22);
        whole.set(body, 5);
        const view = whole.subarray(5, 5 + body.length);
        envelope.scan(view);
        agrees(envelope, view);
      }),
      { numRuns: RUNS / 5 },
    );
  });

  test('an adopted value gives the same as a scanned body', () => {
    const scanned = new Envelope();
    const adopted = new Envelope();
    fc.assert(
      fc.property(messages(plainText, fc.jsonValue()), (message) => {
        const kind = scanned.scan(Buffer.from(JSON.stringify(message)));
        fc.pre(kind === 'request' || kind === 'notification');
        assert.equal(adopted.adopt(message), null);
        for (const member of ['kind', 'idJson', 'method', 'name', 'claimsStateless'] as const) {
          assert.equal(adopted[member], scanned[member], member);
        }
      }),
      { numRuns: RUNS / 4 },
    );
  });
});

describe('an envelope key that stands twice', () => {
  test('is seen wherever the second one stands', () => {
    const envelope = new Envelope();
    const where = fc.constantFrom('jsonrpc', 'id', 'method', 'params');
    fc.assert(
      fc.property(messages(plainText, fc.jsonValue()), where, fc.boolean(), (message, key, first) => {
        fc.pre(message[key] !== undefined && message['method'] !== '');
        const text = JSON.stringify(message);
        const again = `${JSON.stringify(key)}:${JSON.stringify(message[key])}`;
        const doubled = first ? `{${again},${text.slice(1)}` : `${text.slice(0, -1)},${again}}`;
        assert.notEqual(envelope.scan(Buffer.from(doubled)), 'request');
        assert.notEqual(envelope.kind, 'notification');
      }),
      { numRuns: RUNS / 4 },
    );
  });

  for (const [where, text] of [
    ['jsonrpc', '{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"a"}'],
    ['id', '{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}'],
    ['method', '{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}'],
    ['params', '{"jsonrpc":"2.0","id":1,"method":"a","params":{},"params":{}}'],
    ['params.name', '{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","name":"b"}}'],
    ['params.uri', '{"jsonrpc":"2.0","id":1,"method":"a","params":{"uri":"a","uri":"b"}}'],
    ['params._meta', '{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{},"_meta":{}}}'],
    ['result', '{"jsonrpc":"2.0","id":1,"result":{},"result":{}}'],
    ['error', '{"jsonrpc":"2.0","id":1,"error":{},"error":{}}'],
  ] as const) {
    test(`${where}`, () => {
      assert.equal(new Envelope().scan(Buffer.from(text)), 'duplicate');
    });
  }
});

describe('whatever the bytes', () => {
  test('random bytes are scanned without an exception, and never against JSON.parse', () => {
    const envelope = new Envelope();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
        envelope.scan(body);
        agrees(envelope, body);
      }),
      { numRuns: RUNS },
    );
  });

  test('mutated messages are scanned without an exception, and never against JSON.parse', () => {
    const envelope = new Envelope();
    const edits = fc.array(
      fc.record({ at: fc.nat(), to: fc.constantFrom(...'{}[]",:\\0-.e \u0001'), cut: fc.nat(3) }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(messages(anyText, fc.jsonValue()), choices, edits, (message, numbers, changes) => {
        let text = write(message, new Choices(numbers), false);
        for (const { at, to, cut } of changes) {
          const place = at % text.length;
          text = text.slice(0, place) + to + text.slice(place + cut);
        }
        const body = Buffer.from(text);
        envelope.scan(body);
        agrees(envelope, body);
      }),
      { numRuns: RUNS * 2 },
    );
  });
});
