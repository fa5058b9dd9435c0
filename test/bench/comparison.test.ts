/**
 * Two runs side by side: better, worse, or within the noise.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareReports, renderComparison } from '../../bench/report/comparison.ts';
import type { FigureName, Figures, VariantReport } from '../../bench/report/model.ts';
import { LIMIT, OURS, report, variant } from './reports.ts';

const NO_GATE = Number.POSITIVE_INFINITY;

/** All figures of all rounds times a factor. */
function times(base: VariantReport, factor: number): VariantReport {
  const scaled = base.rounds.map(({ figures }) => {
    return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, value * factor])) as Figures;
  });
  return variant(base.name, base.role, ...scaled);
}

function judgementOf(head: VariantReport, figure: FigureName): string | undefined {
  const { rows } = compareReports(report(LIMIT, OURS), report(LIMIT, head), NO_GATE);
  return rows.find((row) => row.variant === OURS.name && row.figure === figure)?.judgement;
}

describe('comparison', () => {
  test('calls nothing better or worse while rounds of both runs overlap', () => {
    assert.equal(judgementOf(times(OURS, 1.05), 'perSecond'), 'noise');
    assert.equal(judgementOf(OURS, 'perSecond'), 'same');
  });

  test('knows which way each figure runs', () => {
    const doubled = times(OURS, 2);
    assert.equal(judgementOf(doubled, 'perSecond'), 'better');
    assert.equal(judgementOf(doubled, 'p99Us'), 'worse');
    assert.equal(judgementOf(doubled, 'cpuUsPerRequest'), 'worse');
  });

  test('sees through a slower machine where the limit was measured with it', () => {
    const slower = report(times(LIMIT, 0.5), times(OURS, 0.5));
    const { regressions, rows } = compareReports(report(LIMIT, OURS), slower, 1.5);
    const row = rows.find(({ figure, variant: name }) => name === OURS.name && figure === 'perSecond');
    assert.equal(row?.ratio.median, 0.5);
    assert.equal(row?.limitRatio, 1);
    assert.deepEqual(regressions, []);
  });

  test('fails on gross regressions of ours only, and on new failures at once', () => {
    const base = report(LIMIT, OURS, variant('peer', 'peer', { perSecond: 100 }));
    const failing = variant(OURS.name, 'millrace', ...OURS.rounds.map(({ figures }) => ({ ...figures, failed: 1 })));
    const slow = report(LIMIT, times(OURS, 0.5), variant('peer', 'peer', { perSecond: 10 }));
    assert.deepEqual(compareReports(base, slow, 1.5).regressions, ['echo, ours <fast>: req/s 0.50']);
    assert.deepEqual(compareReports(base, slow, 3).regressions, []);
    assert.deepEqual(compareReports(base, report(LIMIT, failing), 3).regressions, [
      'echo, ours <fast>: failed Infinity',
    ]);
  });

  test('a variant of ours that measures nothing any more is a regression; one that was not tried is named', () => {
    const base = report(LIMIT, OURS, variant('left out', 'millrace', { perSecond: 1 }));
    const { lost, regressions } = compareReports(base, report(LIMIT, variant(OURS.name, 'millrace', {})), 3);
    assert.deepEqual(lost, ['echo, ours <fast>', 'echo, left out']);
    assert.deepEqual(regressions, ['echo, ours <fast>: measured nothing any more']);
  });

  test('new failures in one round of three are a regression', () => {
    const [first, ...others] = OURS.rounds.map(({ figures }) => figures);
    const failing = variant(OURS.name, 'millrace', { ...first, failed: 500 }, ...others);
    const { regressions } = compareReports(report(LIMIT, OURS), report(LIMIT, failing), NO_GATE);
    assert.deepEqual(regressions, ['echo, ours <fast>: failed Infinity']);
    assert.deepEqual(compareReports(report(LIMIT, failing), report(LIMIT, failing), NO_GATE).regressions, []);
  });

  test('says what was not measured alike, and when nothing was measured by both', () => {
    const base = report(LIMIT, OURS);
    const byWrk = { ...OURS, rounds: OURS.rounds.map((round) => ({ ...round, client: 'wrk' })) };
    const head = report(LIMIT, byWrk);
    const retitled = { ...head, scenarios: head.scenarios.map((scenario) => ({ ...scenario, title: 'at 5/s' })) };
    assert.deepEqual(compareReports(base, base, NO_GATE).unlike, []);
    assert.deepEqual(compareReports(base, retitled, NO_GATE).unlike, [
      'echo: calls & answers; in head: at 5/s',
      'echo, ours <fast>: loaded by own; in head by wrk',
    ]);
    const other = { ...base, scenarios: base.scenarios.map((scenario) => ({ ...scenario, name: 'lists' })) };
    const text = renderComparison(compareReports(base, other, NO_GATE));
    assert.match(text, /nothing that both have measured\n\nonly in head: lists\n\nonly in base: echo\n/);
  });

  test('says when the machines, the versions of Node.js or the lengths differ, and when nothing is known of the noise', () => {
    const base = { ...report(LIMIT, OURS), rounds: 1 };
    const machine = { ...base.machine, cores: 64, node: 'v22.1.0', commit: 'fedcba9876', at: 'later' };
    const comparison = compareReports(base, { ...base, machine, interrupted: true }, NO_GATE);
    assert.deepEqual(comparison.unlike, [
      'Test CPU, 2 cores, linux 6.1 x64; in head: Test CPU, 64 cores, linux 6.1 x64',
      'Node.js v20.20.0; in head: Node.js v22.1.0',
      'run to its end; in head: interrupted',
    ]);
    assert.match(renderComparison(comparison), /one round each: what is noise cannot be told/);
    const rounds = renderComparison(compareReports(report(LIMIT, OURS), report(LIMIT, OURS), NO_GATE));
    assert.doesNotMatch(rounds, /one round each/);
  });

  test('names what only one run has', () => {
    const head = report(LIMIT, OURS, variant('new', 'millrace', { perSecond: 1 }));
    assert.deepEqual(compareReports(report(LIMIT, OURS), head, NO_GATE).unmatched, ['echo, new']);
  });

  test('prints ratios with their range', () => {
    const text = renderComparison(compareReports(report(LIMIT, OURS), report(LIMIT, times(OURS, 2)), 1.5));
    assert.match(text, /ours <fast> +req\/s +96000 +192 k +2\.00 \(1\.82 to 2\.20\) +better of limit 2\.00/);
    assert.match(text, /regressions:\n {2}echo, ours <fast>: P50 2\.00/);
  });
});
