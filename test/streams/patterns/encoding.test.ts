/** Bytes of pattern state, and the evidence of matches. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../../src/streams/patterns/byte-writer.ts';
import { evidenceOf } from '../../../src/streams/patterns/evidence.ts';
import { PartialMatch, PatternState } from '../../../src/streams/patterns/key-state.ts';
import { PatternStateCodec } from '../../../src/streams/patterns/state-codec.ts';
import { KeptEvent, links, Taken } from '../../../src/streams/patterns/taken.ts';

const part = fc.oneof(
  fc.record({ kind: fc.constant('count' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('double' as const), value: fc.double() }),
  fc.record({
    kind: fc.constant('text' as const),
    value: fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 5000, maxLength: 6000 })),
  }),
);

const shared = (bytes: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length + 16), 8, bytes.length);
  copy.set(bytes);
  return copy;
};

const event = (ts: number, name: string | null, hot: boolean | null, context = ''): KeptEvent =>
  new KeptEvent(ts, 2 ** 40, 7, -2147483646, [name, Number.NaN, hot], context, '', context === '' ? '' : 'c');

describe('bytes', () => {
  it('hold numbers and texts as they were', () => {
    const writer = new ByteWriter();
    const reader = new ByteReader();
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        writer.reset();
        for (const { kind, value } of parts) {
          if (kind === 'count') writer.count(value);
          else if (kind === 'double') writer.double(value);
          else writer.text(value);
        }
        reader.open(shared(writer.written));
        for (const { kind, value } of parts) assert.deepEqual(reader[kind](), value);
      }),
    );
  });

  it('hold a state whose partial matches share events, each event once', () => {
    const codec = new PatternStateCodec(['string', 'number', 'boolean']);
    const state = new PatternState();
    const a = event(1.5, 'ä'.repeat(200), true, '{"id":"x"}');
    const b = event(2, null, null);
    const c = event(3, '', false);
    for (const [i, each] of [a, b, c].entries()) each.ordinal = i;
    const first = new Taken(null, a, 0);
    const second = new Taken(first, b, 1);
    state.partials.push(new PartialMatch(first, 1, 2 ** 16, false), new PartialMatch(second, 3, 5, true));
    state.completed.push(new Taken(second, c, 2), second);
    state.pending.push(event(9, 'z', true));
    [state.fed, state.given, state.floor] = [2 ** 50, 4, -8.25];
    const encoded = codec.encode(state).slice();
    const decoded = codec.decode(shared(encoded));
    assert.deepEqual(codec.encode(decoded).slice(), encoded);
    assert.deepEqual([decoded.fed, decoded.given, decoded.floor], [2 ** 50, 4, -8.25]);
    assert.deepEqual(
      decoded.partials.map(({ count, waits, fresh, taken }) => [count, waits, fresh, links(taken).length]),
      [
        [1, 2 ** 16, false, 1],
        [3, 5, true, 2],
      ],
    );
    const [one, two] = decoded.partials as [PartialMatch, PartialMatch];
    assert.equal(two.taken.parent, one.taken);
    assert.equal(decoded.completed[1], two.taken);
    const kept = one.taken.event;
    assert.deepEqual([kept.ts, kept.seq, kept.row, kept.holds, kept.ordinal], [1.5, 2 ** 40, 7, -2147483646, 0]);
    assert.deepEqual(kept.values, ['ä'.repeat(200), Number.NaN, true]);
    assert.deepEqual([kept.context, kept.correlationId], ['{"id":"x"}', 'c']);
    assert.deepEqual(two.taken.event.values, [null, Number.NaN, null]);
    assert.deepEqual(decoded.pending[0]?.ordinal, -1);
  });
});

describe('evidence', () => {
  it('prefers what events say of themselves to what their batch says', () => {
    const own = JSON.stringify({ id: 'e-1', traceparent: '00-own', correlationid: 'mine' });
    const first = new KeptEvent(1, 3, 4, 0, [], own, '00-batch', 'batch');
    const second = new KeptEvent(2, 5, 6, 0, [], '{"id":7}', '00-batch', '');
    const { correlationIds, events, traces } = evidenceOf(new Taken(new Taken(null, first, 0), second, 1));
    assert.deepEqual([events, traces, correlationIds], [['3:4', '5:6'], ['00-own', '00-batch'], ['mine']]);
  });
});
