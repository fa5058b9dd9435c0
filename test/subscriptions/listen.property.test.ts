import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ListenStream } from '../../src/subscriptions/listen-stream.ts';
import { FakeChannel } from './fake-channel.ts';

type Step =
  | { kind: 'change'; key: string }
  | { kind: 'congest' }
  | { kind: 'clear' }
  | { kind: 'drain' }
  | { kind: 'acknowledge' };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('change' as const), key: fc.constantFrom('a', 'b', 'c') }) },
  fc.constant<Step>({ kind: 'congest' }),
  // The congestion is over, and the drain call is still to come.
  fc.constant<Step>({ kind: 'clear' }),
  fc.constant<Step>({ kind: 'drain' }),
  fc.constant<Step>({ kind: 'acknowledge' }),
);

describe('a listen stream', () => {
  test('under any order of changes and congestion tells the last state of each thing, acknowledgement first', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const channel = new FakeChannel();
        const stream = new ListenStream('7', channel, new Set(['a', 'b', 'c']), 'anyone');
        const last = new Map<string, number>();
        let acknowledged = false;
        const acknowledge = () => {
          if (!acknowledged) stream.acknowledge('{}');
          acknowledged = true;
        };
        steps.forEach((s, n) => {
          if (s.kind === 'change') {
            last.set(s.key, n);
            stream.notify(s.key, `{"method":"${s.key}","params":{"n":${n},"_meta":{"sub":`);
          } else if (s.kind === 'congest') channel.congested = true;
          else if (s.kind === 'clear') channel.congested = false;
          else if (s.kind === 'drain') channel.drain();
          else acknowledge();
        });
        acknowledge();
        channel.drain();
        assert.equal(channel.sent[0]?.method, 'notifications/subscriptions/acknowledged');
        const told = new Map<string, number>();
        for (const message of channel.sent.slice(1)) {
          const n = Number(message.params?.['n']);
          const before = told.get(String(message.method)) ?? -1;
          assert.ok(n > before, 'no state is told twice or after a later one');
          told.set(String(message.method), n);
          assert.equal(message.params?._meta?.['sub'], 7);
        }
        assert.deepEqual(told, last);
      }),
    );
  });
});
