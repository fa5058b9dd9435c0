/**
 * Targets: how they are judged, and that the file names things that exist.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseOptions } from '../../bench/options.ts';
import { isGross, judge, readTargets, type Target } from '../../bench/report/targets.ts';
import { suiteScenarios } from '../../bench/scenarios/all.ts';
import { LIMIT, OURS, report, variant } from './reports.ts';

const base: Target = {
  scenario: 'echo',
  what: 'a target',
  variant: 'ours <fast>',
  figure: 'perSecond',
  over: '',
  atLeast: null,
  atMost: null,
  coresMin: 0,
};

describe('a target', () => {
  test('over another variant is judged by the median of the ratios of each round', () => {
    // 0.9, 0.8 and 0.9: the ratio of the medians would be 0.87.
    const [verdict] = judge([{ ...base, over: 'raw', atLeast: 0.88 }], report(LIMIT, OURS));
    assert.equal(verdict?.outcome, 'met');
    assert.deepEqual(verdict?.value, { median: 0.9, lowest: 0.8, highest: 0.9 });
  });

  test('at most is missed from above', () => {
    const outcomes = [2500, 2499].map(
      (atMost) => judge([{ ...base, figure: 'p99Us', atMost }], report(OURS))[0]?.outcome,
    );
    assert.deepEqual(outcomes, ['met', 'missed']);
  });

  test('without its variant, its figure or enough cores is not judged, and says why', () => {
    const whole = report(LIMIT, OURS, variant('empty', 'millrace', {}));
    const whys = [
      { ...base, variant: 'gone', atLeast: 1 },
      { ...base, variant: 'empty', atLeast: 1 },
      { ...base, over: 'gone', atLeast: 1 },
      { ...base, atLeast: 1, coresMin: 3 },
    ].map((target) => judge([target], whole)[0]);
    assert.deepEqual(
      whys.map((verdict) => [verdict?.outcome, verdict?.why]),
      [
        ['not judged', 'not measured'],
        ['not judged', 'not measured'],
        ['not judged', 'not measured'],
        ['not judged', 'needs 3 cores, this machine has 2'],
      ],
    );
  });

  test('is missed grossly when a ratio of rates is below 0.4 of it; other figures never are', () => {
    const gross = [
      { ...base, over: 'raw', atLeast: 2.3 },
      { ...base, over: 'raw', atLeast: 2.2 },
      { ...base, atLeast: 1e9 },
      { ...base, over: 'raw', figure: 'p99Us', atMost: 0.001 } as const,
      { ...base, over: 'gone', atLeast: 1e9 },
    ].map((target) => judge([target], report(LIMIT, OURS)).some(isGross));
    assert.deepEqual(gross, [true, false, false, false, false]);
  });

  test('of a time per event is grossly missed beyond four times its ratio', () => {
    const base = { scenario: 'echo', what: 'time', figure: 'taskNsPerEvent', atLeast: null, coresMin: 0 } as const;
    const target: Target = { ...base, variant: 'ours', over: 'map', atMost: 0.25 };
    const gross = [120, 90, 20].map((taskNsPerEvent) =>
      judge(
        [target],
        report(variant('ours', 'millrace', { taskNsPerEvent }), variant('map', 'peer', { taskNsPerEvent: 100 })),
      ).some(isGross),
    );
    assert.deepEqual(gross, [true, false, false]);
  });

  test('of a scenario that was not run is left out', () => {
    assert.deepEqual(judge([{ ...base, scenario: 'lists', atLeast: 1 }], report(OURS)), []);
  });
});

describe('the targets file', () => {
  const parsed = parseOptions([], () => '');
  assert.ok('options' in parsed);
  const { plan } = parsed.options;

  test('names variants that the scenarios have', () => {
    const targets = readTargets();
    const names = new Set(targets.map(({ scenario }) => scenario));
    const scenarios = suiteScenarios([...names]);
    if (typeof scenarios === 'string') assert.fail(scenarios);
    const variants = new Map(
      scenarios.map((scenario) => [scenario.name, scenario.prepare(plan).variants.map((one) => one.name)]),
    );
    assert.ok(targets.length > 0);
    for (const target of targets) {
      const known = variants.get(target.scenario);
      assert.ok(known !== undefined, `there is no scenario ${target.scenario}`);
      for (const name of [target.variant, target.over]) {
        // Which numbers of workers are measured depends on the machine.
        const isKnown = name === '' || known.includes(name) || /^\d+ workers?, /.test(name);
        assert.ok(isKnown, `${target.scenario} has no variant ${name}`);
      }
    }
  });

  test('is refused with the entry that is wrong', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
    const file = join(folder, 'targets.json');
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ what: 'x', variant: 'y', figure: 'perSecond', atLeast: 1 }, /target 1: scenario is undefined, not text/],
      [{ scenario: 's', what: 'x', variant: 'y', figure: 'speed', atLeast: 1 }, /there is no figure speed/],
      [{ scenario: 's', what: 'x', variant: 'y', figure: 'perSecond' }, /give atLeast or atMost/],
      [{ scenario: 's', what: 'x', variant: 'y', figure: 'perSecond', atLeast: '1' }, /atLeast is not a number/],
    ];
    for (const [entry, message] of wrong) {
      writeFileSync(file, JSON.stringify([entry]));
      assert.throws(() => readTargets(file), message);
    }
    rmSync(folder, { recursive: true });
  });
});
