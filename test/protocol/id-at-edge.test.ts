/**
 * The id found at an edge of a body is the one a parser finds, or none.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { idJsonAtEdge } from '../../src/protocol/id-at-edge.ts';
import { idJsonForRefusal } from '../../src/protocol/methods/answers.ts';

const found = (body: string): string => idJsonAtEdge(Buffer.from(body));

test('first or last, as clients write it', () => {
  assert.equal(found('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}'), '7');
  assert.equal(
    found('{"method":"tools/call","params":{"a":{}},"jsonrpc":"2.0","id":123456789012345}'),
    '123456789012345',
  );
  assert.equal(found('{"jsonrpc":"2.0","id":0}'), '0');
});

test('anything else is left to whoever reads the body', () => {
  for (const body of [
    '',
    '}',
    '{}',
    '7}',
    '{"jsonrpc":"2.0","id":',
    '{"jsonrpc":"2.0","id":}',
    '{"jsonrpc":"2.0","id":"7","method":"m"}',
    '{"jsonrpc":"2.0","id":-7,"method":"m"}',
    '{"jsonrpc":"2.0","id":7.5,"method":"m"}',
    '{"jsonrpc":"2.0","id":7e1,"method":"m"}',
    '{"jsonrpc":"2.0","id":1234567890123456,"method":"m"}',
    '{"jsonrpc":"2.0","id":07,"method":"m"}',
    '{"method":"m","params":{"x":1,"jsonrpc":"2.0","id":7}}',
    '{"method":"m","jsonrpc":"2.0","id":7} ',
    '{"method":"m","jsonrpc":"2.0","id":1.7}',
    '{"x":",\\"jsonrpc\\":\\"2.0\\",\\"id\\":7"}',
  ])
    assert.equal(found(body), '', body);
});

test('what is found in a message is its id, wherever it stands and whatever else is in it', () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const id = fc.oneof(fc.maxSafeNat(), fc.string(), fc.constant(0), fc.double(), fc.constant(null));
  const message = fc.tuple(id, json, fc.shuffledSubarray(['jsonrpc', 'id', 'method', 'params', 'x']));
  fc.assert(
    fc.property(message, ([idValue, value, order]) => {
      const members: Record<string, unknown> = {
        jsonrpc: '2.0',
        id: idValue,
        method: 'm',
        params: value,
        x: { id: value },
      };
      const body = JSON.stringify(Object.fromEntries(order.map((name) => [name, members[name]])));
      const at = found(body);
      if (at !== '') assert.equal(at, JSON.stringify((JSON.parse(body) as { id: unknown }).id));
    }),
    { numRuns: 2000 },
  );
});

test('an id that stands elsewhere is found by reading the body', () => {
  const bytes = Buffer.from('{"method":"tools/call","id":"a-b","jsonrpc":"2.0","params":{}}');
  assert.equal(idJsonForRefusal(bytes), '"a-b"');
  assert.equal(idJsonForRefusal(null), '');
});
