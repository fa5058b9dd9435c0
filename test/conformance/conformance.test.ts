/**
 * The official conformance suites against the fixture, every server scenario of every revision they know.
 *
 * Nothing is expected to fail and nothing to warn; the scenarios of the skills extension are the only ones left out.
 * A scenario that did not run, or passed no check, counts as failed: a suite that stops half-way cannot pass.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Runtime } from '../../src/index.ts';
import { createFixture } from './serve.ts';
import { listScenarios, runSuite, type ScenarioOutcome, type SuitePackage } from './suite.ts';

interface Run {
  readonly name: string;
  readonly suite: SuitePackage;
  readonly options: readonly string[];
  /** Whether a scenario for these revisions belongs to the run. */
  covers(revisions: readonly string[]): boolean;
}

const RUNS: readonly Run[] = [
  { name: '0.1.16, all scenarios', suite: 'conformance-legacy', options: ['--suite', 'all'], covers: () => true },
  {
    name: '0.2.0-alpha.12, 2025-03-26',
    suite: 'conformance',
    options: ['--suite', 'all', '--spec-version', '2025-03-26'],
    covers: (revisions) => revisions.includes('2025-03-26'),
  },
  {
    name: '0.2.0-alpha.12, 2025-06-18',
    suite: 'conformance',
    options: ['--suite', 'all', '--spec-version', '2025-06-18'],
    covers: (revisions) => revisions.includes('2025-06-18'),
  },
  {
    name: '0.2.0-alpha.12, 2025-11-25',
    suite: 'conformance',
    options: ['--requirements', '2025-11-25'],
    covers: (revisions) => revisions.includes('2025-11-25'),
  },
  {
    name: '0.2.0-alpha.12, 2026-07-28 and extensions',
    suite: 'conformance',
    options: ['--requirements', '2026-07-28'],
    covers: (revisions) => revisions.includes('2026-07-28') || revisions.includes('extension'),
  },
];

/** The suite skips it itself; `task-notifications.test.ts` tests what it would. */
const SKIPS_ITSELF = 'tasks-status-notifications';

const isSkills = (scenario: string): boolean => scenario.startsWith('sep-2640-skills-');

function texts(outcomes: readonly ScenarioOutcome[], kind: 'failures' | 'warnings'): string[] {
  return outcomes.flatMap((outcome) => outcome[kind].map((text) => `${outcome.scenario}: ${text}`));
}

describe('official conformance suites', { concurrency: true }, () => {
  let runtime: Runtime;
  let url: string;
  before(async () => {
    runtime = await createFixture(0);
    ({ url } = await runtime.listen());
  });
  after(() => runtime.close());

  for (const run of RUNS) {
    test(run.name, async (t) => {
      const listed = await listScenarios(run.suite);
      const wanted = [...listed].filter(([name, revisions]) => run.covers(revisions) && !isSkills(name));
      assert.ok(wanted.length > 0, 'the suite lists its scenarios');

      const { scenarios, exitCode, output } = await runSuite(run.suite, url, run.options);
      const passed = scenarios.reduce((sum, outcome) => sum + outcome.passed, 0);
      const clean = scenarios.filter((outcome) => outcome.failures.length === 0).length;
      t.diagnostic(`${clean} of ${scenarios.length} scenarios clean, ${passed} checks passed`);
      const proved = scenarios.filter(({ scenario, passed: checks }) => checks > 0 || scenario === SKIPS_ITSELF);
      const ran = new Set(proved.map((outcome) => outcome.scenario));
      assert.deepEqual(
        wanted.map(([name]) => name).filter((name) => !ran.has(name)),
        [],
        `scenarios that did not run, or proved nothing\n${output}`,
      );
      assert.deepEqual(texts(scenarios, 'failures'), [], 'checks that failed');
      assert.deepEqual(texts(scenarios, 'warnings'), [], 'checks that warned');
      assert.equal(exitCode, 0, output);
    });
  }
});
