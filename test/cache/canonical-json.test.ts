import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { keepableResult, RESULT_CHARS_MAX } from '../../src/cache/keepable-result.ts';
import { answeredFor, endingOf } from '../../src/ledger/kept-answer.ts';
import { canonicalJson, digestOf } from '../../src/protocol/canonical-json.ts';

describe('canonical JSON', () => {
  test('reads back as what it was made of', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const value: unknown = JSON.parse(json);
        assert.deepEqual(JSON.parse(canonicalJson(value)), value);
      }),
    );
  });

  test('is the same in whatever order members stand, own names of objects included', () => {
    assert.equal(canonicalJson(JSON.parse('{"b":[1,{"y":2,"x":1e0}],"a":-0}')), '{"a":0,"b":[1,{"x":1,"y":2}]}');
    assert.equal(canonicalJson(JSON.parse('{"b":1,"__proto__":{"d":1,"c":2}}')), '{"__proto__":{"c":2,"d":1},"b":1}');
  });

  test('digests of lists differ wherever one part ends', () => {
    const digests = [
      digestOf('ab', 'c'),
      digestOf('a', 'bc'),
      digestOf('abc'),
      digestOf('', 'abc'),
      digestOf('abc', ''),
    ];
    assert.equal(new Set(digests).size, digests.length);
    assert.match(String(digests[0]), /^[\w-]{43}$/);
  });
});

const ID = JSON.stringify(',"result":{"isError":true}}');
const response = (member: string): string => `{"jsonrpc":"2.0","id":${ID},${member}}`;

describe('what is kept of a response', () => {
  test('a whole result, found behind any id', () => {
    const kept = keepableResult(200, response('"result":{"content":[]}'));
    assert.deepEqual(kept, { kind: 'whole', resultJson: '{"content":[]}' });
    assert.equal(keepableResult(200, response('"result":{"resultType":"complete"}')).kind, 'whole');
  });

  test('no errors, no questions, no tasks, nothing too long', () => {
    const kinds = [
      keepableResult(200, response('"error":{"code":1,"message":""}')),
      keepableResult(200, response('"result":{"isError":true}')),
      keepableResult(200, response('"result":{"resultType":"input_required"}')),
      keepableResult(200, response('"result":{"resultType":"task"}')),
      keepableResult(200, response(`"result":{"x":"${'x'.repeat(RESULT_CHARS_MAX)}"}`)),
    ].map(({ kind }) => kind);
    assert.deepEqual(kinds, ['failed', 'failed', 'own', 'own', 'own']);
  });

  test('an answer is given again under another id', () => {
    for (const member of ['"result":{"a":1}', '"error":{"code":1,"message":"m"}']) {
      assert.equal(answeredFor('"new"', response(member)), `{"jsonrpc":"2.0","id":"new",${member}}`);
    }
  });

  test('refusals and questions are no endings; failures are, of what must not be repeated', () => {
    const failure = response('"error":{"code":-32603,"message":"m"}');
    const refusal = response('"error":{"code":-32000,"message":"m","data":{"retryAfterMs":1}}');
    assert.deepEqual(endingOf(200, failure, false), { status: 200, responseJson: failure });
    assert.equal(endingOf(200, failure, true), null);
    assert.equal(endingOf(200, refusal, false), null);
    assert.equal(endingOf(503, failure, false), null);
    assert.equal(endingOf(200, response('"result":{"resultType":"input_required"}'), false), null);
    const task = response('"result":{"resultType":"task","taskId":"t"}');
    assert.deepEqual(endingOf(200, task, true), { status: 200, responseJson: task });
  });
});
