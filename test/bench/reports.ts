/**
 * A small report with known figures, for the tests of what is made of reports.
 */
import { CURVE_PERCENTILES } from '../../bench/measure/percentiles.ts';
import {
  type BenchReport,
  type Figures,
  REPORT_FORMAT,
  type Role,
  type Sample,
  type VariantReport,
} from '../../bench/report/model.ts';

export function sample(figures: Figures): Sample {
  const slowUs = figures.p99Us ?? 0;
  return {
    figures,
    curveUs: slowUs === 0 ? [] : CURVE_PERCENTILES.map((percentile) => 100 + (percentile / 100) * (slowUs - 100)),
    curveCount: slowUs === 0 ? 0 : 10_000,
    intervals:
      slowUs === 0
        ? []
        : [
            { atMs: 500, count: 10, p50Us: 100, p99Us: slowUs },
            { atMs: 1000, count: 0, p50Us: Number.NaN, p99Us: Number.NaN },
          ],
    client: 'own',
    problem: '',
  };
}

export function variant(name: string, role: Role, ...rounds: readonly Figures[]): VariantReport {
  return { name, role, rounds: rounds.map(sample), failures: [] };
}

export function report(...variants: readonly VariantReport[]): BenchReport {
  return {
    format: REPORT_FORMAT,
    command: 'npm run bench -- --scenario echo',
    machine: {
      at: '2026-11-21T10:00:00.000Z',
      cpu: 'Test CPU',
      cores: 2,
      memoryGiB: 8,
      system: 'linux 6.1 x64',
      node: 'v20.20.0',
      frontEnd: 'uWebSockets.js 20.57.0',
      commit: '0123456789',
      loadBefore: 0,
      packages: { autocannon: '9.0.0' },
    },
    rounds: 3,
    interrupted: false,
    notes: [],
    scenarios: [
      {
        name: 'echo',
        title: 'calls & answers',
        columns: ['perSecond', 'p50Us', 'p99Us', 'cpuUsPerRequest', 'failed'],
        cannotShow: ['networks'],
        published: [],
        skipped: ['peer go: go is not installed'],
        variants,
        elapsedMs: 1000,
      },
    ],
  };
}

export const LIMIT = variant(
  'raw',
  'limit',
  { perSecond: 100_000, p50Us: 500, p99Us: 1000, cpuUsPerRequest: 7, failed: 0 },
  { perSecond: 120_000, p50Us: 520, p99Us: 1200, cpuUsPerRequest: 7, failed: 0 },
  { perSecond: 110_000, p50Us: 510, p99Us: 1100, cpuUsPerRequest: 7, failed: 0 },
);
export const OURS = variant(
  'ours <fast>',
  'millrace',
  { perSecond: 90_000, p50Us: 600, p99Us: 2000, cpuUsPerRequest: 15.25, failed: 0 },
  { perSecond: 96_000, p50Us: 640, p99Us: 3000, cpuUsPerRequest: 15.25, failed: 0 },
  { perSecond: 99_000, p50Us: 620, p99Us: 2500, cpuUsPerRequest: 15.25, failed: 0 },
);
