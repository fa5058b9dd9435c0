/**
 * Runs a load job with wrk: the client that one core cannot outrun.
 *
 * Role: saturation where a client in JavaScript would reach its own limit first. Two runs of the command, one to warm
 * up and one to measure. wrk counts whole seconds, so it is told to run for long and ended by SIGINT, upon which it
 * prints what it has.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { endsWithHarness } from '../servers/ends-with-harness.ts';
import { type GroupReport, type LoadGroup, type LoadJob, type LoadReport, STOPPED_EARLY } from './job.ts';
import { parseWrk, type WrkResult, wrkScript } from './wrk-script.ts';

/** It keeps no latency beyond its timeout. */
const TIMEOUT_S = 30;
const LONGER_S = 60;

/** Why this job is none for wrk; null: it is. */
export function wrkRefuses(groups: readonly LoadGroup[]): string | null {
  const [group, another] = groups;
  if (group === undefined || another !== undefined) return 'wrk runs one group of requests';
  if (group.transport !== 'http') return 'wrk has no WebSocket';
  if (group.ratePerSecond > 0) return 'wrk has no open loop';
  if (group.pieceBytes > 0 || group.thinkMs > 0) return 'wrk sends whole requests without a pause';
  return null;
}

let installed: boolean | null = null;

export function wrkInstalled(): boolean {
  // Without arguments it prints its usage and fails, but it starts.
  installed ??= spawnSync('wrk', [], { stdio: 'ignore' }).error === undefined;
  return installed;
}

export async function runWrk(job: LoadJob, measuring: () => void, stopped: AbortSignal): Promise<LoadReport> {
  const group = job.groups[0] as LoadGroup;
  const url = new URL(job.url);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const script = join(folder, 'requests.lua');
  writeFileSync(script, wrkScript(group, `${url.pathname}${url.search}`, threads(group.connections)));
  try {
    if (job.warmupMs > 0) await shoot(script, job.url, group.connections, job.warmupMs, stopped);
    if (stopped.aborted) throw new Error(STOPPED_EARLY);
    measuring();
    const result = await shoot(script, job.url, group.connections, job.durationMs, stopped);
    return { elapsedMs: result.elapsedUs / 1000, groups: [reportOf(group, result)] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Half the cores, so that the server has the other half. */
function threads(connections: number): number {
  return Math.max(1, Math.min(connections, availableParallelism() >> 1));
}

function shoot(script: string, url: string, connections: number, ms: number, stopped: AbortSignal): Promise<WrkResult> {
  const seconds = Math.ceil(ms / 1000) + LONGER_S;
  const args = ['-t', String(threads(connections)), '-c', String(connections), '-d', `${seconds}s`];
  args.push('--timeout', `${TIMEOUT_S}s`, '-s', script, url);
  return new Promise((resolve, reject) => {
    // Detached: it prints nothing when it is ended by what a supervisor sends to the whole group.
    const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    endsWithHarness(child);
    const stop = (): void => void child.kill('SIGINT');
    const timer = setTimeout(stop, ms);
    stopped.addEventListener('abort', stop, { once: true });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      stopped.removeEventListener('abort', stop);
      try {
        resolve(parseWrk(output));
      } catch (error) {
        reject(error);
      }
    });
    if (stopped.aborted) stop();
  });
}

/** It counts no requests that were never answered. */
const silent = ({ broken, requests }: WrkResult): boolean => requests === 0 && broken === 0;

function firstProblem(result: WrkResult): string {
  const { broken, problem, wrong } = result;
  if (silent(result)) return 'no answer while it was measured';
  if (problem !== '') return problem;
  return wrong + broken > 0 ? 'wrk counts problems and keeps none' : '';
}

function reportOf({ connections, name }: LoadGroup, result: WrkResult): GroupReport {
  return {
    name,
    good: result.requests - result.wrong - result.refused,
    refused: result.refused,
    wrong: result.wrong,
    broken: silent(result) ? connections : result.broken,
    unsent: 0,
    firstProblem: firstProblem(result),
    histogram: '',
    refusals: '',
    curveUs: result.curveUs,
    lateP99Us: Number.NaN,
    intervals: [],
  };
}
