/**
 * Finds a value for every option: defaults < configuration file < environment < flags.
 *
 * Role: from the outside world to one `FullConfig`, remembering where each value came from so that every later
 * message can name the place. Lists are replaced by a later layer, never joined: what a layer says is what holds.
 * Throws `ConfigError` with all problems of all layers.
 */
import { basename, dirname } from 'node:path';
import { findConfigFile, fromFolder, type ImportModule, type NamedFile, readConfigFile } from './file.ts';
import { ENV_CONFIG, environmentLayer, flagLayer, type GivenFlags, type Layer, treeLayer } from './layers.ts';
import { OPTIONS } from './options.ts';
import { ConfigError, DEFAULT_ORIGIN, OPTIONS_ORIGIN, type Origin } from './problem.ts';
import { type FullConfig, type RawConfig, rawConfigSchema } from './raw.ts';

const FLAG_CONFIG = '--config';

export interface Sources {
  readonly flags: GivenFlags;
  /** `--config`; null looks for `millrace.config.*` in `cwd`. */
  readonly configFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly importModule: ImportModule;
}

export interface LoadedConfig {
  readonly config: FullConfig;
  /** By option name; all options are there. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Absolute path, or null. */
  readonly file: string | null;
}

export async function loadConfig(sources: Sources): Promise<LoadedConfig> {
  const problems: string[] = [];
  const ofFlags: string[] = [];
  const named = namedFile(sources);
  const file = findConfigFile(sources.cwd, named, named?.by === FLAG_CONFIG ? ofFlags : problems);
  const layers: Layer[] = [];
  if (file !== null) {
    const label = basename(file);
    const readable = { path: file, label, holds: 'the configuration', instead: '' };
    const tree = await readConfigFile(readable, sources.importModule, problems);
    const layer = tree === undefined ? null : treeLayer(tree, { kind: 'file', file: label }, problems);
    if (layer !== null) layers.push({ origin: layer.origin, values: fromFolder(layer.values, dirname(file)) });
  }
  for (const layer of [environmentLayer(sources.env, problems), flagLayer(sources.flags, ofFlags)]) {
    layers.push({ origin: layer.origin, values: fromFolder(layer.values, sources.cwd) });
  }
  if (problems.length + ofFlags.length > 0) throw new ConfigError([...problems, ...ofFlags], ofFlags.length > 0);
  return { ...stack(layers), file };
}

function namedFile({ configFile, env }: Sources): NamedFile | null {
  if (configFile !== null) return { path: configFile, by: FLAG_CONFIG };
  const variable = env[ENV_CONFIG] ?? '';
  return variable === '' ? null : { path: variable, by: ENV_CONFIG };
}

/** The same for options handed over by a program. */
export function configFromOptions(raw: RawConfig, cwd: string): LoadedConfig {
  const problems: string[] = [];
  const layer = treeLayer(raw, OPTIONS_ORIGIN, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...stack([{ origin: layer.origin, values: fromFolder(layer.values, cwd) }]), file: null };
}

/** Later layers win, option by option. */
export function stack(layers: readonly Layer[]): { config: FullConfig; origins: ReadonlyMap<string, Origin> } {
  const origins = new Map<string, Origin>();
  const tree: Record<string, unknown> = {};
  for (const option of OPTIONS) {
    const layer = layers.findLast((candidate) => candidate.values.has(option.name));
    origins.set(option.name, layer?.origin ?? DEFAULT_ORIGIN);
    if (layer !== undefined) place(tree, option.path, layer.values.get(option.name));
  }
  return { config: rawConfigSchema.parse(tree), origins };
}

/** `path` is an option's own, so its members are known names. */
function place(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node = tree;
  for (const member of path.slice(0, -1)) {
    node[member] ??= {};
    node = node[member] as Record<string, unknown>;
  }
  const last = path.at(-1);
  if (last !== undefined) node[last] = value;
}

/** The value an option has in a full configuration. */
export function valueAt(config: FullConfig, path: readonly string[]): unknown {
  let node: unknown = config;
  for (const member of path) node = (node as Record<string, unknown>)[member];
  return node;
}
