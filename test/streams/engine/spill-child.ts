/**
 * Streams on worker-less threads whose state goes to files that may not become large: `spill-child DIRECTORY`. Grows its
 * state until it is refused, asks for room, and goes on.
 */
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { openStores } from '../../../src/streams/stores.ts';
import { say } from '../log/child.ts';
import { openRig, refusalOf } from './rig.ts';
import { countedWith, keysOf, LAST } from './spill-case.ts';

const dataDir = process.argv[2] as string;
const counted = countedWith({ onFull: 'spill', keysMax: 1, stateBytesMax: 2 ** 30 });
const definitions = [{ ...counted, sinks: [{ type: 'tap' }] }];
const stores = await openStores({ definitions, dataDir: '', logBytesMax: 2 ** 30 });
const rig = await openRig(definitions, {
  shards: 1,
  tickMs: 50,
  stores: async () => ({ ...stores, dataDir }),
  // A batch is one round, however little is known of the time.
  resultsAtOnce: 100_000,
});
// One shard, which outgrows what a file may hold while it is still in memory.
say('first', await refusalOf(rig.send('s', keysOf(1, 60_000))));
say('second', await refusalOf(rig.send('s', keysOf(2, 10))));
say('degraded', rig.service.degraded.join());
say('third', await refusalOf(rig.send('s', keysOf(3, 10))));
say('needs room');
await once(process.stdin, 'data');
let refusal = 'full';
for (let tries = 0; refusal === 'full' && tries < 5000; tries++) {
  await setTimeout(20);
  refusal = await refusalOf(rig.send('s', keysOf(4, 10)));
}
say('with room', refusal, 'degraded', rig.service.degraded.join());
await rig.send('s', [LAST]);
await rig.settled();
const counts = rig.tap.lines().map((line) => (JSON.parse(line) as { values: { n: number } }).values.n);
say(
  'done',
  counts.length,
  'keys',
  counts.reduce((sum, count) => sum + count, 0),
  'events, troubles',
  rig.troubles.length,
);
await rig.close();
process.exit(0);
