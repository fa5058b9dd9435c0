/**
 * A whole runtime on a free port, with the built-in tools and the fixtures, for real clients.
 *
 * Role: what every test of this folder, of `wire` and of `faults` starts from. Fixture modules run in real workers; the
 * log is collected, so that a test can look for a line or show what happened.
 */

import { loadNative } from '../../src/frontend/uws/load.ts';
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/index.ts';
import { createLog } from '../../src/observe/log.ts';

export type FrontEndName = 'uws' | 'node';
/** Those that can be opened here: no build of uWebSockets.js loads everywhere (`test/frontend/uws.test.ts` then says so). */
export const FRONT_ENDS: readonly FrontEndName[] = 'native' in loadNative() ? ['uws', 'node'] : ['node'];

/** Compiled or not, a fixture ends as this module does. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

/** A module of `test/fixtures/clients`. */
export function fixture(name: string): URL {
  return new URL(`../fixtures/clients/${name}${EXTENSION}`, import.meta.url);
}

export interface Served {
  readonly runtime: Runtime;
  /** `http://127.0.0.1:port/mcp` */
  readonly url: string;
  readonly port: number;
  readonly log: readonly string[];
  /** Sum of the samples of a metric whose labels include the given text. */
  metric(name: string, labels?: string): Promise<number>;
  close(): Promise<void>;
}

/** `auto`, where the front end is not what the test is about: it need not be one that loads on every machine. */
export async function serve(frontend: FrontEndName | 'auto', options: RuntimeOptions = {}): Promise<Served> {
  const log: string[] = [];
  const sink = { write: (line: string) => void log.push(line) };
  const runtime = await createRuntime({
    frontend,
    port: 0,
    workers: 2,
    shutdownGraceMs: 2000,
    log: createLog('info', {}, sink),
    ...options,
  });
  const { url, port } = await runtime.listen().catch(async (cause: unknown) => {
    // Its threads would keep the file from ending.
    await runtime.close();
    throw cause;
  });
  return {
    runtime,
    url,
    port,
    log,
    metric: async (name, labels = '') => sumOf(await runtime.metrics(), name, labels),
    close: () => runtime.close(),
  };
}

export const serveFixtures = (frontend: FrontEndName, options: RuntimeOptions = {}): Promise<Served> =>
  serve(frontend, { modules: ['shown-tools', 'talking-tools', 'readings'].map(fixture), ...options });

function sumOf(exposition: string, name: string, labels: string): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    const rest = line.startsWith(name) ? line.slice(name.length) : '';
    if (!/^[ {]/.test(rest) || !rest.includes(labels)) continue;
    sum += Number(rest.slice(rest.lastIndexOf(' ') + 1));
  }
  return sum;
}
