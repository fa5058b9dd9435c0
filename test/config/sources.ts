/**
 * Sources of configuration for tests: a folder of its own, and layers that hold nothing unless told.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compileLoaded } from '../../src/config/compile.ts';
import { type LoadedConfig, loadConfig, type Sources } from '../../src/config/load.ts';
import type { Machine } from '../../src/config/machine.ts';
import { ConfigError } from '../../src/config/problem.ts';
import type { Settings } from '../../src/config/settings.ts';

export const MACHINE: Machine = { cores: 4, memoryMiB: 16_384, nodeId: 'test-node', stateSecret: 's'.repeat(43) };

export type Files = Readonly<Record<string, string>>;

/** A test's context, or node:test itself for a whole file. */
export interface Cleanup {
  after(done: () => void): void;
}

/** A folder that is gone after the test. */
export function folderWith(context: Cleanup, files: Files = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** `['--port', '80']` style pairs as the command line reader hands them on. */
export function given(
  ...pairs: (readonly [flag: string, value: string | boolean])[]
): Map<string, (string | boolean)[]> {
  const flags = new Map<string, (string | boolean)[]>();
  for (const [flag, value] of pairs) flags.set(flag, [...(flags.get(flag) ?? []), value]);
  return flags;
}

export function sources(cwd: string, parts: Partial<Sources> = {}): Sources {
  return {
    flags: new Map(),
    configFile: null,
    env: {},
    cwd,
    importModule: (url) => import(url) as Promise<Record<string, unknown>>,
    ...parts,
  };
}

export const load = (cwd: string, parts: Partial<Sources> = {}): Promise<LoadedConfig> =>
  loadConfig(sources(cwd, parts));

export async function settingsFrom(cwd: string, parts: Partial<Sources> = {}): Promise<Settings> {
  return compileLoaded(await load(cwd, parts), MACHINE);
}

/** The problems a configuration is refused with. */
export async function problemsOf(attempt: () => unknown): Promise<readonly string[]> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
