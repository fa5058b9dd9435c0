/**
 * Definitions that change while their state goes on: what was said holds, and what is said from then on is as declared now.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  sinks: [{ type: 'tap' }],
};
const aggregates = { n: 'count' as const };

const toldBy = (rig: Rig): string[] =>
  rig.tap.lines().map((line) => {
    const { end, key, start, timing, values } = JSON.parse(line) as ResultLine;
    return `${key['k']} ${start}-${end} ${timing} ${JSON.stringify(values)}`;
  });

const at = (time: number, k = 'a'): object => ({ at: time, k, v: 1 });

async function withRig(windows: WindowDefinition[], use: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await openRig([{ ...STREAM, windows: [] }]);
  try {
    for (const window of windows) await rig.service.define('s', 'windows', window);
    await use(rig);
  } finally {
    await rig.close();
  }
}

describe('a longer lateness', () => {
  const KINDS: readonly WindowDefinition[] = [
    { name: 'w', type: 'tumbling', sizeMs: 10, aggregates },
    { name: 'w', type: 'hopping', sizeMs: 10, slideMs: 5, aggregates },
    { name: 'w', type: 'session', gapMs: 5, aggregates },
  ];
  for (const window of KINDS) {
    test(`does not open what has closed for good: ${window.type}`, async () => {
      await withRig([window], async (rig) => {
        await rig.send('s', [at(1), at(2), at(3)]);
        await rig.send('s', [at(30)]);
        const before = toldBy(rig);
        await rig.service.define('s', 'windows', { ...window, allowedLatenessMs: 1000 });
        await rig.send('s', [at(4)]);
        assert.deepEqual(toldBy(rig), before);
        // What closes from now on does so later.
        await rig.send('s', [at(60)]);
        await rig.send('s', [at(30)]);
        assert.equal(toldBy(rig).at(-1), `a ${window.type === 'session' ? '30-35' : '30-40'} late {"n":2}`);
      });
    });
  }
});

test('early results come as often as is declared now, be that less often than before', async () => {
  const window: WindowDefinition = { name: 'w', type: 'tumbling', sizeMs: 1_000_000, aggregates };
  await withRig([{ ...window, trigger: { everyMs: 10 } }], async (rig) => {
    const tick = async (): Promise<void> => {
      rig.nowMs += 1000;
      await rig.send('s', [at(1)]);
      rig.tick();
      await rig.settled();
    };
    await tick();
    await tick();
    assert.equal(toldBy(rig).length, 1);
    await rig.service.define('s', 'windows', { ...window, trigger: { everyMs: 1000 } });
    await tick();
    await tick();
    await tick();
    assert.ok(toldBy(rig).length >= 3, toldBy(rig).join('\n'));
  });
});

describe('missing data is told by the time that is declared now', () => {
  const missing = (afterMs: number): StreamDefinition => ({
    ...STREAM,
    anomalies: [{ name: 'gone', type: 'missing', value: 'v', afterMs }],
  });
  const keysTold = (rig: Rig): string[] => rig.tap.lines().map((line) => (JSON.parse(line) as ResultLine).id);

  for (const [before, after] of [
    [100, 1000],
    [1000, 100],
  ] as const) {
    test(`${before} ms before, ${after} ms now`, async () => {
      const stores = lastingStores();
      let rig = await openRig([missing(before)], { stores });
      await rig.send('s', [at(10)]);
      await rig.close();
      rig = await openRig([missing(after)], { stores });
      try {
        await rig.send('s', [at(10 + after, 'b')]);
        assert.deepEqual(keysTold(rig), []);
        await rig.send('s', [at(11 + after, 'b')]);
        assert.deepEqual(keysTold(rig), [`s/gone/{"k":"a"}/10/${10 + after}/0`]);
      } finally {
        await rig.close();
      }
    });
  }
});
