/**
 * What a report looks like: as a table, as JSON, as a page.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderHtml } from '../../bench/report/html.ts';
import { decodeReport, encodeReport } from '../../bench/report/json.ts';
import { count, inUnit, microseconds, ratio } from '../../bench/report/number-text.ts';
import { renderReport } from '../../bench/report/table.ts';
import { judge, type Target } from '../../bench/report/targets.ts';
import { LIMIT, OURS, report, variant } from './reports.ts';

const target: Target = {
  scenario: 'echo',
  what: 'ours over raw',
  variant: 'ours <fast>',
  figure: 'perSecond',
  over: 'raw',
  atLeast: 0.8,
  atMost: null,
  coresMin: 0,
};

describe('the table', () => {
  test('is this text', () => {
    const whole = report(LIMIT, OURS);
    const verdicts = judge(
      [target, { ...target, what: 'P99 of ours', figure: 'p99Us', over: '', atLeast: null, atMost: 2000 }],
      whole,
    );
    assert.equal(
      renderReport(whole, verdicts, 80),
      `npm run bench -- --scenario echo
2026-11-21T10:00:00.000Z  Test CPU, 2 cores, 8 GiB, linux 6.1 x64, Node.js
    v20.20.0
millrace 0123456789; front end uWebSockets.js 20.57.0
autocannon 9.0.0
median of the rounds, ± half their range; a fresh server each, order reversed
    every round

echo: calls & answers [own; 3 rounds]
                    req/s   ±     P50      P99  CPU/req  failed
  raw               110 k  9%  510 us  1.10 ms   7.0 us       0
  ours <fast>       96000  5%  620 us  2.50 ms    15 us       0
  skipped: peer go: go is not installed
  does not show: networks

targets: 1 met, 1 missed, 0 not judged
  met     ours over raw                             >= 0.80: 0.90 (0.80 to 0.90)
  MISSED  P99 of ours                   <= 2.00 ms: 2.50 ms (2.00 ms to 3.00 ms)
`,
    );
  });

  test('fits the terminal, whatever the names', () => {
    const long = variant('a variant with a name that goes on and on and on and on and on', 'peer', {
      perSecond: 1,
      p50Us: 1,
      p99Us: 1,
    });
    for (const width of [72, 80, 100, 120]) {
      const lines = renderReport(report(LIMIT, OURS, long), judge([target], report(LIMIT, OURS)), width).split('\n');
      for (const line of lines) assert.ok(line.length <= width, `${line.length} > ${width}: ${line}`);
    }
  });

  test('breaks no line of a table: columns that do not fit stand below, with the names', () => {
    const [whole] = report(LIMIT, OURS).scenarios;
    assert.ok(whole !== undefined);
    const columns = [...whole.columns, 'p90Us', 'p95Us', 'p999Us', 'residentMiB', 'refused'] as const;
    const wide = { ...report(LIMIT, OURS), scenarios: [{ ...whole, columns }] };
    const lines = renderReport(wide, [], 80).split('\n');
    const heads = lines.flatMap((line, at) => (/ req\/s | RSS MiB /.test(line) ? [at] : []));
    assert.equal(heads.length, 2);
    for (const at of heads) {
      assert.match(lines[at + 1] ?? '', /^ {2}raw +[\d-]/);
      assert.match(lines[at + 2] ?? '', /^ {2}ours <fast> +[\d-]/);
    }
    assert.equal(lines.join(' ').match(/refused/g)?.length, 1);
  });

  test('shows failures of a single round', () => {
    const [first, ...others] = OURS.rounds.map(({ figures }) => figures);
    const failing = variant(OURS.name, 'millrace', { ...first, failed: 7 }, ...others);
    assert.match(renderReport(report(failing), [], 100), / 7\n/);
    assert.match(renderHtml(report(failing), []), /<td>7<\/td>/);
  });

  test('says of a server that was there before nothing of fresh ones', () => {
    const whole = report(OURS);
    const target = { ...whole, scenarios: whole.scenarios.map((scenario) => ({ ...scenario, name: 'target' })) };
    for (const text of [renderReport(target, [], 100), renderHtml(target, [])]) assert.doesNotMatch(text, /fresh/);
    for (const text of [renderReport(whole, [], 120), renderHtml(whole, [])]) assert.match(text, /fresh/);
  });

  test('says why a variant has no figures', () => {
    const broken = { ...variant('broken', 'peer'), failures: ['round 1: it ended with 1 before it was ready'] };
    const text = renderReport(report(broken), [], 100);
    assert.match(text, /broken +- +- +- +- +-/);
    assert.match(text, /! broken, round 1: it ended with 1 before it was ready/);
  });

  test('says which rounds something else disturbed, and nothing of those that nothing did', () => {
    const disturbances = [
      { others: 0.34, stolen: 0.02 },
      null,
      { others: 0.04, stolen: 0.04 },
      { others: 0, stolen: 0.1 },
    ];
    const disturbed = { ...variant('beside', 'peer'), disturbances };
    const lines = [
      'beside, round 1: other programs took 34 % of the processors',
      'beside, round 4: the hypervisor gave 10 % of the processors to other machines',
    ];
    const text = renderReport(report(LIMIT, disturbed), [], 100);
    assert.deepEqual(
      text.split('\n').filter((line) => line.includes('~')),
      lines.map((line) => `  ~ ${line}`),
    );
    const page = renderHtml(report(LIMIT, disturbed), []);
    for (const line of lines) assert.ok(page.includes(`Disturbed: ${line}`));
    assert.deepEqual(page.match(/Disturbed/g)?.length, lines.length);
  });

  test('says that it was interrupted', () => {
    assert.match(renderReport({ ...report(LIMIT), interrupted: true }, [], 100), /Interrupted/);
  });
});

describe('numbers', () => {
  test('have three digits and a unit', () => {
    assert.deepEqual([0, 3.21, 42, 999, 1000, 12_345, 123_456, 1_234_567].map(microseconds), [
      '0 us',
      '3.2 us',
      '42 us',
      '999 us',
      '1.00 ms',
      '12.3 ms',
      '123 ms',
      '1.23 s',
    ]);
    assert.deepEqual([0, 1.5, 99_949, 123_456, 12_345_678].map(count), ['0', '1.50', '99949', '123 k', '12.3 M']);
    assert.deepEqual([0.412, 9.99, 41, 120].map(ratio), ['0.41', '9.99', '41.0', '120']);
    assert.equal(microseconds(Number.NaN), '-');
  });

  test('never round a success up to all', () => {
    assert.equal(inUnit(0.99999, 'share'), '99.9 %');
    assert.equal(inUnit(1, 'share'), '100.0 %');
  });
});

describe('the JSON file', () => {
  test('is read as it was written, gaps included', () => {
    const whole = report(LIMIT, OURS);
    const decoded = decodeReport(encodeReport(whole, []), 'x.json');
    const { targets: _targets, ...rest } = decoded as typeof decoded & { targets: unknown };
    assert.deepEqual(rest, whole);
  });

  test('has the targets and how they ended', () => {
    const whole = report(LIMIT, OURS);
    const parsed = JSON.parse(encodeReport(whole, judge([target], whole))) as { targets: unknown[] };
    assert.deepEqual(parsed.targets, [
      { ...target, outcome: 'met', value: { median: 0.9, lowest: 0.8, highest: 0.9 }, why: '' },
    ]);
  });

  test('is refused when it is something else, or of another format', () => {
    assert.throws(() => decodeReport('{}', 'x.json'), /x\.json is no report/);
    assert.throws(() => decodeReport('{"format":99,"scenarios":[]}', 'x.json'), /format 99; this version reads 1/);
  });

  test('is refused by name when a part of it is missing', () => {
    const { machine } = report(LIMIT);
    const round = { figures: {}, curveUs: [], intervals: [] };
    const variants = (...given: unknown[]) => ({ machine, scenarios: [{ variants: given }] });
    for (const part of [
      { scenarios: [] },
      { machine, scenarios: {} },
      { machine, scenarios: [{}] },
      variants(null),
      variants({ name: 'x' }),
      variants({ rounds: [{ ...round, figures: null }] }),
      variants({ rounds: [{ ...round, intervals: [1] }] }),
    ]) {
      const text = JSON.stringify({ format: 1, ...part });
      assert.throws(() => decodeReport(text, 'x.json'), /^Error: x\.json is no whole report of npm run bench$/, text);
    }
  });
});

describe('the page', () => {
  const whole = report(LIMIT, OURS);
  const page = renderHtml(whole, judge([target], whole));

  test('has one chart of each kind, and every series in each', () => {
    for (const label of ['req/s of each variant', 'latency by percentile', 'P99 over time']) {
      assert.equal(page.split(`aria-label="${label}"`).length, 2, label);
    }
    assert.equal(page.split('<polyline class="line s0"').length, 3);
    assert.equal(page.split('<polyline class="line s1"').length, 3);
    assert.equal(page.split('<rect class="bar').length, 3);
  });

  test('stands alone: nothing is fetched, nothing runs', () => {
    assert.doesNotMatch(page, /<script|<link|@import|url\(|src=|href=/);
    assert.doesNotMatch(page, /NaN|undefined|Infinity/);
  });

  test('escapes names', () => {
    assert.ok(page.includes('ours &lt;fast&gt;'));
    assert.ok(!page.includes('<fast>'));
  });

  test('shows both ends of a name that is too long to stand beside its bar, and the whole under the pointer', () => {
    const name = 'the first words of a very long name and the last ones';
    const long = renderHtml(report(variant(name, 'peer', { perSecond: 5 })), []);
    const [, shown = '', title = ''] = /<text class="name"[^>]*>([^<]*)<title>([^<]*)<\/title>/.exec(long) ?? [];
    assert.match(shown, /^the first words.*….*last ones$/);
    assert.ok(shown.length <= 34, shown);
    assert.equal(title, name);
  });

  test('has charts of a width that can be read on a narrow screen', () => {
    assert.match(page, /svg \{[^}]*min-width: 36rem/);
    const charts = page.split('<svg ').length - 1;
    assert.equal(page.split('<div class="wide"><svg ').length - 1, charts);
  });

  test('has a form for every series, however many there are', () => {
    const many = Array.from({ length: 50 }, (_, i) => variant(`v${i}`, 'peer', { perSecond: i + 1, p99Us: 200 + i }));
    const crowded = renderHtml(report(...many), []);
    const used = new Set([...crowded.matchAll(/class="(?:line |bar )?s(\d+)"/g)].map(([, style]) => style));
    assert.ok(used.size > 14);
    for (const style of used) {
      for (const rule of [`.line.s${style} {`, `.bar.s${style} {`, `.key .s${style} {`])
        assert.ok(crowded.includes(rule));
    }
  });

  test('does without charts where nothing was measured', () => {
    const empty = renderHtml(report(variant('nothing', 'peer')), []);
    assert.doesNotMatch(empty, /<svg/);
    assert.doesNotMatch(empty, /NaN/);
  });
});
