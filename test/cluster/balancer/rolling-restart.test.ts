/**
 * Rolling restart (fault 38): three nodes behind HAProxy or nginx are stopped and started again one after the other, under
 * a constant load of stateless calls, with calls in sessions, calls with keys and tasks beside it, and with event streams
 * of sessions open, and nobody misses anything.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../../src/config/version.ts';
import { eventually } from '../../clients/eventually.ts';
import { Stateless } from '../../wire/raw-clients.ts';
import { type Balancer, Nginx } from './balancers.ts';
import type { NodeProcess } from './node-process.ts';
import { failedOf, longestSilenceMs, RecordedLoad } from './recorded-load.ts';
import { ClusterRig } from './rig.ts';
import { checkHeard, SessionListener } from './session-listener.ts';
import { keyedCalls, sessionCalls, tasks } from './steady-clients.ts';

/** Of a busy machine; the load goes on behind two nodes all the time. */
const SILENCE_MS_MAX = 5_000;
const LISTENERS = 8;
/** More than are touched until the last node is back. */
const NOTES = 450;
const TOUCH_MS = 250;
/** Changes told while one of the nodes is replaced. */
const TOUCHED_MIN = 10;
/** In flight on the node that is stopped, so that it is still there when its clients have left. */
const LINGER_MS = 3000;
/** Of a client that waits for each answer. */
const CALLS_MIN = 5;
/** Of a node that was left alone for a while. */
const BACK_CALLS = 20;
const BACK_MS_MAX = 20_000;
const TOOLS = join(PACKAGE_ROOT, 'dist/test/fixtures/balancer');

/** Says of one note after the other that it changed, until all did or it is stopped. */
class Touches {
  readonly touched: string[] = [];
  readonly failed: string[] = [];
  left: number;
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Set<Promise<void>>();

  constructor(client: Stateless, uris: readonly string[]) {
    this.left = uris.length;
    this.#timer = setInterval(() => {
      const uri = uris[uris.length - this.left];
      if (uri === undefined) return;
      this.left -= 1;
      const done = client.call('touch', { uri }).then((answer) => {
        this.#pending.delete(done);
        // A call that went wrong is answered 200 as well.
        if (JSON.stringify(answer.result).includes(uri)) this.touched.push(uri);
        else this.failed.push(`${uri}: ${answer.status} ${JSON.stringify(answer.last)}`);
      });
      this.#pending.add(done);
    }, TOUCH_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }
}

interface Kind {
  readonly name: string;
  readonly flags: readonly string[];
  /** Stateless calls. */
  readonly perSecond: number;
  /** May be the rig's own. */
  start(rig: ClusterRig): Promise<Balancer>;
  /** Resolves when the node that was started again gets calls. */
  back(rig: ClusterRig, node: NodeProcess): Promise<unknown>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'HAProxy',
    flags: [],
    perSecond: 200,
    start: async (rig) => rig.balancer,
    back: (rig) => rig.balancer.until(['UP', 'UP', 'UP']),
  },
  {
    name: 'nginx',
    // As its file says.
    flags: ['--drain-delay-ms', '6000'],
    perSecond: 150,
    start: (rig) => Nginx.start(rig.ports),
    back: (_rig, node) =>
      eventually(
        'calls',
        () => node.answered(),
        (count) => count > BACK_CALLS,
        BACK_MS_MAX,
      ),
  },
];

for (const kind of KINDS)
  describe(`rolling restart behind ${kind.name}`, () => {
    let rig: ClusterRig;
    let balancer: Balancer;
    before(async () => {
      rig = await ClusterRig.start(['--tools', TOOLS, ...kind.flags]);
      balancer = await kind.start(rig);
    });
    after(async () => {
      await balancer?.end();
      await rig?.end();
    });

    test('all three nodes are replaced under load; no request fails, no stream repeats an event and no change is missed', async () => {
      const { url } = balancer;
      const uris = Array.from({ length: NOTES }, (_, i) => `note://${i}`);
      const listeners = await Promise.all(Array.from({ length: LISTENERS }, () => SessionListener.open(url, uris)));
      const load = new RecordedLoad(url);
      load.start(kind.perSecond);
      const others = [await sessionCalls(url), await sessionCalls(url), keyedCalls(url), tasks(url), tasks(url)];
      const touches = new Touches(new Stateless(url), uris);
      for (const node of rig.nodes) {
        const before = touches.touched.length;
        const lingering = new RecordedLoad(node.url);
        const long = lingering.sleep(LINGER_MS);
        assert.equal(await node.stop(), 0, node.errors);
        assert.equal((await long).problem, '');
        await lingering.stop();
        await node.start();
        await kind.back(rig, node);
        const told = touches.touched.length - before;
        assert.ok(told >= TOUCHED_MIN && touches.left > 0, `${told} changes, ${touches.left} left`);
      }
      await touches.stop();
      const history = await load.stop();
      await Promise.all(others.map((client) => client.stop()));
      assert.deepEqual(
        others.flatMap(({ problems }) => problems),
        [],
      );
      for (const { count } of others) assert.ok(count > CALLS_MIN, `only ${count} calls`);
      assert.deepEqual(failedOf(history).slice(0, 5), [], `of ${history.length}; ${balancer.output}`);
      assert.ok(history.length > 1000, `only ${history.length} calls`);
      assert.ok(longestSilenceMs(history) < SILENCE_MS_MAX, `${longestSilenceMs(history)} ms`);
      assert.deepEqual(touches.failed, []);
      // The last ones are still on their way.
      await eventually(
        'changes that were not told',
        () => listeners.flatMap((listener) => listener.missing(touches.touched)),
        (missing) => missing.length === 0,
      );
      await Promise.all(listeners.map((listener) => listener.stop()));
      for (const listener of listeners) {
        assert.deepEqual(listener.refusals, []);
        checkHeard(listener, touches.touched);
      }
      assert.ok(Math.max(...listeners.map(({ streams }) => streams)) > 1, 'no stream went on elsewhere');
    });
  });
