/**
 * Modules of reducers, as stream definitions name them: made absolute from the folder the definition was written in.
 *
 * Role: for whoever reads definitions, which have not been checked yet: what has not the shape of one stays as it is. A
 * name that does not begin with a dot is a file where the folder has one, else a package.
 */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';

/** The same list, or one in which definitions with such modules are copies. */
export function modulesFrom<T>(definitions: readonly T[], folder: string): readonly T[] {
  return definitions.map((definition) => changed(definition, 'windows', (windows) => inWindows(windows, folder)));
}

function inWindows(windows: unknown, folder: string): unknown {
  if (!Array.isArray(windows)) return windows;
  return windows.map((window: unknown) =>
    changed(window, 'aggregates', (aggregates) => inAggregates(aggregates, folder)),
  );
}

function inAggregates(aggregates: unknown, folder: string): unknown {
  if (typeof aggregates !== 'object' || aggregates === null || Array.isArray(aggregates)) return aggregates;
  return Object.fromEntries(
    Object.entries(aggregates).map(([name, aggregate]) => [
      name,
      changed(aggregate, 'module', (module) => absolute(module, folder)),
    ]),
  );
}

function absolute(module: unknown, folder: string): unknown {
  if (typeof module !== 'string' || module === '' || isAbsolute(module) || URL.canParse(module)) return module;
  const path = resolve(folder, module);
  return /^\.\.?[/\\]/.test(module) || existsSync(path) ? path : module;
}

function changed<T>(value: T, member: string, change: (value: unknown) => unknown): T {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, member)) return value;
  const now = change((value as Record<string, unknown>)[member]);
  return { ...value, [member]: now };
}
