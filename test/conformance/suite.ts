/**
 * Runs an official conformance suite against a URL and reads what it found.
 *
 * The suite is a command; it writes one `checks.json` per scenario. Those files are read, not its output, so that a
 * scenario that died without a summary still counts.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeArguments } from './glob-sync.ts';

/** Package alias: `conformance` is 0.2.0-alpha.12, `conformance-legacy` is 0.1.16. */
export type SuitePackage = 'conformance' | 'conformance-legacy';

interface Check {
  readonly id: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  readonly description?: string;
  readonly errorMessage?: string;
}

export interface ScenarioOutcome {
  readonly scenario: string;
  readonly passed: number;
  /** Texts of the checks that failed or warned: `id: why`. */
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
  readonly skipped: readonly string[];
}

export interface SuiteOutcome {
  readonly scenarios: readonly ScenarioOutcome[];
  readonly exitCode: number | null;
  readonly output: string;
}

/** Longest run of one suite, all scenarios together. */
const SUITE_MS_MAX = 180_000;

export async function runSuite(suite: SuitePackage, url: string, options: readonly string[]): Promise<SuiteOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    const { exitCode, output } = await command(suite, ['server', '--url', url, '-o', folder, ...options]);
    return { exitCode, output, scenarios: await outcomes(folder) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Names of the server scenarios a suite has, with the revisions they apply to (`extension` for extensions). */
export async function listScenarios(suite: SuitePackage): Promise<Map<string, readonly string[]>> {
  const { output } = await command(suite, ['list', '--server']);
  const scenarios = new Map<string, readonly string[]>();
  for (const [, name = '', revisions = ''] of output.matchAll(/^ {2}- (\S+) \[([^\]]+)\]$/gm)) {
    scenarios.set(name, revisions.split(','));
  }
  return scenarios;
}

async function command(
  suite: SuitePackage,
  parameters: readonly string[],
): Promise<{ exitCode: number | null; output: string }> {
  const script = createRequire(import.meta.url).resolve(`${suite}/dist/index.js`);
  const child = spawn(process.execPath, [...nodeArguments, script, ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: SUITE_MS_MAX,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exitCode, output };
}

async function outcomes(folder: string): Promise<ScenarioOutcome[]> {
  const found: ScenarioOutcome[] = [];
  for (const entry of (await readdir(folder)).sort()) {
    // `server-NAME-2026-11-21T…`
    const scenario = /^server-(.+?)-\d{4}-\d{2}-\d{2}T/.exec(entry)?.[1];
    if (scenario === undefined) throw new Error(`the suite wrote something unknown: ${entry}`);
    const checks = JSON.parse(await readFile(join(folder, entry, 'checks.json'), 'utf8')) as Check[];
    found.push({
      scenario,
      passed: checks.filter((check) => check.status === 'SUCCESS').length,
      failures: texts(checks, 'FAILURE'),
      warnings: texts(checks, 'WARNING'),
      skipped: texts(checks, 'SKIPPED'),
    });
  }
  return found;
}

function texts(checks: readonly Check[], status: Check['status']): string[] {
  return checks
    .filter((check) => check.status === status)
    .map((check) => `${check.id}: ${check.errorMessage ?? check.description ?? ''}`);
}
