import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Binding,
  REQUEST_STATE_CHARS_MAX,
  REQUEST_STATE_TTL_MS,
  type RequestState,
  RequestStateCodec,
} from '../../src/protocol/request-state.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';

const NOW = Date.UTC(2026, 10, 21, 10, 59, 30);
const codec = new RequestStateCodec(SharedSecret.of('a shared secret'));
const state: RequestState = { answers: { name: { action: 'accept' } }, values: { step: 2 }, round: 1 };
const binding: Binding = {
  principalId: 'ann',
  method: 'tools/call',
  name: 'pay',
  arguments: { to: 'bob', sum: [1, 2] },
};

const members = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 5 });
const anyState = fc.record({ answers: members, values: members, round: fc.nat(50) });
const anyBinding = fc.record({
  principalId: fc.string(),
  method: fc.constantFrom('tools/call', 'prompts/get', 'resources/read'),
  name: fc.string(),
  arguments: members,
});

/** The same JSON with the members of every object in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, member] of Object.entries(value).reverse()) copy[key] = reversed(member);
  return copy;
}

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1))
      : member,
  );

describe('request state', () => {
  test('opens for the request it was sealed for, whatever the order of its arguments', () => {
    fc.assert(
      fc.property(anyState, anyBinding, (sealed, bound) => {
        const token = codec.seal(sealed, bound, NOW);
        const opened = codec.open(token, { ...bound, arguments: reversed(bound.arguments) }, NOW + 1000);
        assert.deepEqual(JSON.parse(JSON.stringify(opened)), JSON.parse(JSON.stringify(sealed)));
      }),
    );
  });

  test('opens on another node that has the secret, and on no other', () => {
    const token = codec.seal(state, binding, NOW);
    const same = new RequestStateCodec(SharedSecret.of('a shared secret'));
    assert.deepEqual(same.open(token, binding, NOW), state);
    assert.equal(new RequestStateCodec(SharedSecret.of('another secret')).open(token, binding, NOW), null);
  });

  test('is sealed with the new secret on every thread once it has changed, and what was sealed before opens', () => {
    const secret = SharedSecret.of('own');
    const node = new RequestStateCodec(secret);
    // As another thread has it.
    const thread = new RequestStateCodec(new SharedSecret(secret.shared));
    const before = thread.seal(state, binding, NOW);
    for (const name of ['of all nodes', 'of all nodes, later']) {
      const old = thread.seal(state, binding, NOW);
      secret.use(name);
      const all = new RequestStateCodec(SharedSecret.of(name));
      assert.deepEqual(all.open(thread.seal(state, binding, NOW), binding, NOW), state);
      assert.deepEqual(all.open(node.seal(state, binding, NOW), binding, NOW), state);
      assert.deepEqual(thread.open(all.seal(state, binding, NOW), binding, NOW), state);
      assert.deepEqual(thread.open(old, binding, NOW), state);
      assert.equal(all.open(old, binding, NOW), null);
    }
    assert.equal(thread.open(before, binding, NOW), null);
  });

  test('is short, safe in a URL and says nothing of its content', () => {
    const token = codec.seal(state, binding, NOW);
    assert.match(token, /^v1\.[\w-]+$/);
    assert.ok(token.length < 200);
    assert.doesNotMatch(Buffer.from(token.slice(3), 'base64url').toString('latin1'), /accept|step|ann/);
    assert.notEqual(token, codec.seal(state, binding, NOW), 'a fresh nonce each time');
  });

  test('with any one character altered does not open', () => {
    const token = codec.seal(state, binding, NOW);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ';
    for (let at = 0; at < token.length; at += 1) {
      for (const character of alphabet) {
        if (token[at] === character) continue;
        const altered = token.slice(0, at) + character + token.slice(at + 1);
        assert.equal(codec.open(altered, binding, NOW), null, `character ${at} as ${character}`);
      }
    }
  });

  test('truncated, extended or replaced by something else does not open', () => {
    const token = codec.seal(state, binding, NOW);
    for (let length = 0; length < token.length; length += 1) {
      assert.equal(codec.open(token.slice(0, length), binding, NOW), null, `${length} characters`);
      assert.equal(codec.open(token.slice(length + 1), binding, NOW), null);
    }
    for (const extra of ['A', '=', '\n', '.', 'AAAA']) assert.equal(codec.open(token + extra, binding, NOW), null);
    fc.assert(fc.property(fc.string(), (text) => codec.open(`v1.${text}`, binding, NOW) === null));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(codec.open(`v1.${Buffer.from(bytes).toString('base64url')}`, binding, NOW), null);
      }),
    );
  });

  test('does not open for another principal, method, name or arguments', () => {
    const token = codec.seal(state, binding, NOW);
    const others: Binding[] = [
      { ...binding, principalId: 'bob' },
      { ...binding, principalId: '' },
      { ...binding, method: 'prompts/get' },
      { ...binding, name: 'pay2' },
      { ...binding, arguments: { to: 'bob', sum: [2, 1] } },
      { ...binding, arguments: { to: 'bob', sum: ['1', 2] } },
      { ...binding, arguments: { to: 'bob', sum: [12] } },
      { ...binding, arguments: { to: 'bob' } },
      { ...binding, arguments: undefined },
      { ...binding, arguments: null },
    ];
    for (const other of others) assert.equal(codec.open(token, other, NOW), null, JSON.stringify(other));
  });

  test('parts of the binding cannot be moved across their borders', () => {
    const pick = fc.record({
      principalId: fc.boolean(),
      method: fc.boolean(),
      name: fc.boolean(),
      arguments: fc.boolean(),
    });
    fc.assert(
      fc.property(anyBinding, anyBinding, pick, (a, b, keep) => {
        const other: Binding = {
          principalId: keep.principalId ? a.principalId : b.principalId,
          method: keep.method ? a.method : b.method,
          name: keep.name ? a.name : b.name,
          arguments: keep.arguments ? a.arguments : b.arguments,
        };
        const opened = codec.open(codec.seal(state, a, NOW), other, NOW);
        assert.equal(opened !== null, sorted(a) === sorted(other));
      }),
    );
    const shifted = codec.seal(state, { ...binding, principalId: 'a', method: 'bc' }, NOW);
    assert.equal(codec.open(shifted, { ...binding, principalId: 'ab', method: 'c' }, NOW), null);
    for (const [one, other] of [
      [[[1], 2], [[1, 2]]],
      [{ a: { b: 1 } }, { a: {}, b: 1 }],
      [['1,2'], ['1', '2']],
      [[], {}],
      [[[]], []],
    ]) {
      const token = codec.seal(state, { ...binding, arguments: one }, NOW);
      assert.equal(codec.open(token, { ...binding, arguments: other }, NOW), null, JSON.stringify([one, other]));
    }
  });

  test('expires, also across the hour its key belongs to', () => {
    const token = codec.seal(state, binding, NOW);
    assert.deepEqual(codec.open(token, binding, NOW + REQUEST_STATE_TTL_MS - 1), state);
    assert.equal(codec.open(token, binding, NOW + REQUEST_STATE_TTL_MS), null);
    assert.equal(codec.open(token, binding, NOW + 365 * 24 * 3_600_000), null);
    const brief = new RequestStateCodec(SharedSecret.of('a shared secret'), { ttlMs: 10 });
    assert.equal(brief.open(token, binding, NOW), null, 'a token that lives longer than this codec grants');
  });

  test('of a node whose clock is a little ahead opens', () => {
    const token = codec.seal(state, binding, NOW + 30_000);
    assert.deepEqual(codec.open(token, binding, NOW), state);
  });

  test('larger than the limit is refused when sealed and not looked at when opened', () => {
    const large = { ...state, values: { text: 'x'.repeat(REQUEST_STATE_CHARS_MAX) } };
    assert.throws(() => codec.seal(large, binding, NOW), RangeError);
    assert.equal(codec.open(`v1.${'A'.repeat(REQUEST_STATE_CHARS_MAX)}`, binding, NOW), null);
  });

  test('is bound to arguments that nest deeper than any call stack', () => {
    const deep = (last: number): unknown => JSON.parse(`${'[{"a":'.repeat(100_000)}${last}${'}]'.repeat(100_000)}`);
    const token = codec.seal(state, { ...binding, arguments: deep(1) }, NOW);
    assert.deepEqual(codec.open(token, { ...binding, arguments: deep(1) }, NOW), state);
    assert.equal(codec.open(token, { ...binding, arguments: deep(2) }, NOW), null);
  });

  test('member names with a meaning to JavaScript are only names', () => {
    const values = JSON.parse('{"__proto__":{"x":1},"constructor":2}') as Record<string, unknown>;
    const opened = codec.open(codec.seal({ ...state, values }, binding, NOW), binding, NOW);
    assert.ok(opened !== null && Object.hasOwn(opened.values, '__proto__'));
    assert.equal((opened.values as { x?: number }).x, undefined);
  });

  test('needs a secret', () => {
    assert.throws(() => SharedSecret.of(''), RangeError);
    assert.throws(() => new SharedSecret(new SharedArrayBuffer(0)), RangeError);
  });
});
