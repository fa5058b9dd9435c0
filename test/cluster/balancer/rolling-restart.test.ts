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
import { failedOf, RecordedLoad } from './recorded-load.ts';
import { ClusterRig } from './rig.ts';
import { checkHeard, SessionListener } from './session-listener.ts';
import { keyedCalls, sessionCalls, tasks } from './steady-clients.ts';

/** Answered behind two nodes while the third is not there. */
const ANSWERED_MIN = 50;
const LISTENERS = 4;
/** Changes that may be told while one of the nodes is replaced, and those that are told at least. */
const NOTES_PER_NODE = 30;
const TOUCHED_MIN = 10;
const NODES = 3;
const TOUCH_MS = 250;
/** In flight on the node that is stopped, so that it is still there when its clients have left. */
const LINGER_MS = 4000;
/** Of a client that waits for each answer. */
const CALLS_MIN = 5;
/** Of a node that was left alone for a while. */
const BACK_CALLS = 20;
const TOOLS = join(PACKAGE_ROOT, 'dist/test/fixtures/balancer');

/** Says of one note after the other that it changed, of so many of them as it may. */
class Touches {
  readonly touched: string[] = [];
  readonly failed: string[] = [];
  #mayBe = 0;
  #begun = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Set<Promise<void>>();

  constructor(client: Stateless, uris: readonly string[]) {
    this.#timer = setInterval(() => {
      const uri = uris[this.#begun];
      if (uri === undefined || this.#begun === this.#mayBe) return;
      this.#begun += 1;
      const done = client.call('touch', { uri }).then((answer) => {
        this.#pending.delete(done);
        // A call that went wrong is answered 200 as well.
        if (JSON.stringify(answer.result).includes(uri)) this.touched.push(uri);
        else this.failed.push(`${uri}: ${answer.status} ${JSON.stringify(answer.last)}`);
      });
      this.#pending.add(done);
    }, TOUCH_MS);
  }

  /** So many more. */
  allow(count: number): void {
    this.#mayBe += count;
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
    perSecond: 100,
    start: async (rig) => rig.balancer,
    back: (rig) => rig.balancer.until(['UP', 'UP', 'UP']),
  },
  {
    name: 'nginx',
    // As its file says.
    flags: ['--drain-delay-ms', '6000'],
    perSecond: 100,
    start: (rig) => Nginx.start(rig.ports),
    back: (_rig, node) =>
      eventually(
        'calls',
        () => node.answered(),
        (count) => count > BACK_CALLS,
      ),
  },
];

/** There are so many more than now. */
async function goesOn(countNow: () => number, more: number): Promise<void> {
  const before = countNow();
  await eventually('it goes on', countNow, (count) => count >= before + more);
}

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
      const uris = Array.from({ length: NODES * NOTES_PER_NODE }, (_, i) => `note://${i}`);
      const listeners = await Promise.all(Array.from({ length: LISTENERS }, () => SessionListener.open(url, uris)));
      const load = new RecordedLoad(url);
      load.start(kind.perSecond);
      const others = [await sessionCalls(url), await sessionCalls(url), keyedCalls(url), tasks(url), tasks(url)];
      const touches = new Touches(new Stateless(url), uris);
      for (const node of rig.nodes) {
        const before = touches.touched.length;
        touches.allow(NOTES_PER_NODE);
        const lingering = new RecordedLoad(node.url);
        const long = lingering.sleep(LINGER_MS);
        assert.equal(await node.stop(), 0, node.errors);
        assert.equal((await long).problem, '');
        await lingering.stop();
        await goesOn(() => load.history.length, ANSWERED_MIN);
        await eventually(
          'changes',
          () => touches.touched.length - before,
          (told) => told >= TOUCHED_MIN,
        );
        await node.start();
        await kind.back(rig, node);
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
