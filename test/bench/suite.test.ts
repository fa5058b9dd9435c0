/**
 * Rounds: their order, and what becomes of the others when one fails or the run is stopped.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { closedLoop } from '../../bench/load/job.ts';
import { chooseClient } from '../../bench/load/run-load.ts';
import { parseWrk, wrkScript } from '../../bench/load/wrk-script.ts';
import { treeUnreadable } from '../../bench/measure/process-tree.ts';
import { parseOptions } from '../../bench/options.ts';
import type { Sample } from '../../bench/report/model.ts';
import { growth } from '../../bench/scenarios/overload.ts';
import { workerCounts } from '../../bench/scenarios/scaling.ts';
import type { Plan, Scenario, Variant } from '../../bench/scenarios/scenario.ts';
import { orderOf, type Progress, runSuite } from '../../bench/suite.ts';
import { sample } from './reports.ts';

const silent: Progress = {
  scenarioBegins: () => undefined,
  roundBegins: () => undefined,
  roundEnds: () => undefined,
  scenarioEnds: () => undefined,
};

function planFor(...args: string[]): Plan {
  const parsed = parseOptions(args, () => '');
  assert.ok('options' in parsed);
  return parsed.options.plan;
}

function scenario(...variants: readonly Variant[]): Scenario {
  return {
    name: 'test',
    title: 'a test',
    columns: ['perSecond'],
    cannotShow: [],
    inSuite: null,
    roundsMax: Number.POSITIVE_INFINITY,
    prepare: () => ({ variants, skipped: [] }),
  };
}

const variant = (name: string, measure: Variant['measure'], quick = true): Variant => ({
  name,
  role: 'millrace',
  quick,
  measure,
});

describe('the suite', () => {
  test('reverses the order every round', async () => {
    const order: string[] = [];
    const one = (name: string): Variant =>
      variant(name, async () => {
        order.push(name);
        return sample({ perSecond: order.length });
      });
    const [report] = await runSuite(
      [scenario(one('a'), one('b'), one('c'))],
      planFor(),
      new AbortController().signal,
      silent,
    );
    assert.equal(order.join(''), 'abccbaabc');
    // Rounds stay in their own order, so that ratios are of one round.
    assert.deepEqual(
      report?.variants.map(({ rounds }) => rounds.map(({ figures }) => figures.perSecond)),
      [
        [1, 6, 7],
        [2, 5, 8],
        [3, 4, 9],
      ],
    );
    assert.deepEqual(orderOf(3, 4), [0, 1, 2]);
  });

  test('runs of a scenario what the whole suite has time for, and all of it when it is named', async () => {
    const limited: Scenario = {
      ...scenario(
        variant('short', async () => sample({})),
        variant('long', async () => sample({}), false),
      ),
      inSuite: { roundsMax: 2, variants: 'judged' },
    };
    const ran = async (...args: string[]): Promise<unknown> => {
      const [report] = await runSuite([limited], planFor(...args), new AbortController().signal, silent);
      return report?.variants.map(({ name, rounds }) => [name, rounds.length]);
    };
    assert.deepEqual(await ran(), [['short', 2]]);
    assert.deepEqual(await ran('--scenario', 'test'), [
      ['short', 3],
      ['long', 3],
    ]);
  });

  test('has no more rounds than the scenario allows', async () => {
    const steady = variant('steady', async () => sample({ perSecond: 1 }));
    const long = { ...scenario(steady), roundsMax: 2 };
    const announced: number[] = [];
    const progress = { ...silent, scenarioBegins: (_: Scenario, rounds: number) => void announced.push(rounds) };
    const [report] = await runSuite([long], planFor('--rounds', '5'), new AbortController().signal, progress);
    assert.equal(report?.variants[0]?.rounds.length, 2);
    assert.deepEqual(announced, [2]);
  });

  test('goes on after a variant that fails, and keeps its rounds in step', async () => {
    let calls = 0;
    const flaky = variant('flaky', async () => {
      calls++;
      if (calls === 2) throw new Error('did not start');
      return sample({ perSecond: calls });
    });
    const steady = variant('steady', async () => sample({ perSecond: 1 }));
    const [report] = await runSuite([scenario(flaky, steady)], planFor(), new AbortController().signal, silent);
    assert.deepEqual(
      report?.variants[0]?.rounds.map(({ figures }) => figures.perSecond),
      [1, undefined, 3],
    );
    assert.deepEqual(report?.variants[0]?.failures, ['round 2: did not start']);
    assert.equal(report?.variants[1]?.rounds.length, 3);
  });

  test('tells nothing of programs beside a server that it does not know, or that has gone', async () => {
    const none = treeUnreadable() !== null;
    const wait = async (): Promise<Sample> => {
      await delay(50);
      return sample({ perSecond: 1 });
    };
    const own = variant('own', wait);
    const known = { ...variant('known', wait), serverPid: process.pid };
    const unknown = { ...variant('unknown', wait), serverPid: 0 };
    const gone = { ...variant('gone', wait), serverPid: 2 ** 30 };
    const all = scenario(own, known, unknown, gone);
    const [report] = await runSuite([all], planFor('--rounds', '1'), new AbortController().signal, silent);
    const isTold = report?.variants.map(({ disturbances }) => disturbances?.map((each) => each !== null));
    assert.deepEqual(isTold, [[!none], [!none], [false], [false]]);
  });

  test('reports what there is when it is stopped', async () => {
    const stop = new AbortController();
    const first = variant('first', async () => sample({ perSecond: 1 }));
    const second = variant('second', async () => {
      stop.abort();
      return sample({ perSecond: 2 });
    });
    const third = variant('third', async () => assert.fail('must not be measured'));
    const reports = await runSuite([scenario(first, second, third), scenario(third)], planFor(), stop.signal, silent);
    assert.equal(reports.length, 1);
    assert.deepEqual(
      reports[0]?.variants.map(({ rounds }) => rounds.length),
      [1, 1, 0],
    );
  });

  test('leaves out what a quick run is not for, unless it is named', async () => {
    const measure: Variant['measure'] = async () => sample({ perSecond: 1 });
    const both = scenario(variant('short', measure), variant('long one', measure, false));
    const names = async (...args: string[]): Promise<string[]> => {
      const [report] = await runSuite([both], planFor(...args), new AbortController().signal, silent);
      return (report?.variants ?? []).map(({ name }) => name);
    };
    assert.deepEqual(await names('--rounds', '1'), ['short', 'long one']);
    assert.deepEqual(await names('--quick'), ['short']);
    assert.deepEqual(await names('--quick', '--variant', 'long'), ['long one']);
  });
});

describe('the client of a load', () => {
  const closed = closedLoop('x', [{ headers: {}, body: '' }], 1, '');

  test('is wrk for saturation where there is one, and autocannon where there is none', () => {
    assert.equal(chooseClient('auto', [closed], true), 'wrk');
    assert.equal(chooseClient('auto', [closed], false), 'autocannon');
    assert.equal(chooseClient('wrk', [closed], false), 'own');
  });

  test('is our own where answers are read, unless another is asked for', () => {
    const read = { ...closed, readsResults: true };
    assert.equal(chooseClient('auto', [read], true), 'own');
    assert.equal(chooseClient('wrk', [read], true), 'wrk');
  });

  test('is our own for what the others cannot do', () => {
    const open = { ...closed, ratePerSecond: 10 };
    for (const wanted of ['auto', 'wrk', 'own'] as const) assert.equal(chooseClient(wanted, [open], true), 'own');
    assert.equal(chooseClient('autocannon', [open], true), 'autocannon');
    assert.equal(chooseClient('autocannon', [{ ...closed, transport: 'websocket' }], true), 'own');
    assert.equal(chooseClient('wrk', [closed, closed], true), 'own');
  });
});

describe('wrk', () => {
  test('is given every byte of a request', () => {
    const script = wrkScript(closedLoop('x', [{ headers: { 'x-a': 'b"c' }, body: 'é\n\\' }], 1, ''), '/mcp?a=1', 2);
    assert.ok(script.includes('{ { ["x-a"]="b\\034c" }, "\\195\\169\\010\\092" },'));
    assert.ok(script.includes('wrk.format("POST", "/mcp?a=1"'));
    // A thread of its own, requests of its own.
    assert.ok(script.includes('(i - 1) % 2 == first'));
  });

  test('answers with one line among others', () => {
    const counts = '"refused":2,"wrong":1,"broken":0,"problem":"353030"';
    const line = `millrace-bench {"requests":10,"elapsedUs":1000,${counts},"curveUs":[1,2]}`;
    assert.deepEqual(parseWrk(`Running 1s test\n${line}\nRequests/sec: 10`), {
      requests: 10,
      elapsedUs: 1000,
      refused: 2,
      wrong: 1,
      broken: 0,
      problem: '500',
      curveUs: [1, 2],
    });
    // It says 0 us of no answers.
    assert.deepEqual(parseWrk(line.replace('"requests":10', '"requests":0')).curveUs, []);
    assert.throws(() => parseWrk('unable to connect'), /wrk printed no result: unable to connect/);
  });
});

describe('parts of scenarios', () => {
  test('growth compares the highest of the last quarter with the highest of the second', () => {
    const readings = [100, 90, 120, 110, 100, 100, 150, 130].map((residentMiB, at) => ({
      atMs: at * 100,
      residentMiB,
    }));
    assert.equal(growth(readings), 30);
    assert.ok(Number.isNaN(growth([])));
  });

  test('workers double up to the cores', () => {
    assert.deepEqual([1, 2, 3, 8].map(workerCounts), [[1], [1, 2], [1, 2, 3], [1, 2, 4, 8]]);
  });
});
