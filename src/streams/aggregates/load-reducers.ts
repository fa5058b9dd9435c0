/**
 * Loads the modules that custom reducers of a plan are in.
 *
 * Role: the only asynchronous part of aggregates, done before a plan is used; compiling them is synchronous then.
 * Reducers stay loaded: those of an earlier plan may still run, and Node keeps modules anyway. Node also remembers
 * that a module failed: a file that failed is asked for under another URL the next time.
 * `module` is a path, made absolute by whoever read the configuration (`config/reducer-modules.ts`), a file URL, or a
 * package's name.
 */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { importModule } from '../../catalogue/import-module.ts';
import type { Plan } from '../plan.ts';
import { type Reducer, reducerKey, reducerProblem } from './reducer.ts';

export const REDUCERS_MAX = 1024;

/** Of this thread: shared by everything that asks for no map of its own, so that reducers of later plans are seen. */
const loaded = new Map<string, Reducer>();

/** How often each module has failed; a module of this name is as a rule mended long before the bound matters. */
const failures = new Map<string, number>();

export class ReducerProblem extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReducerProblem';
  }
}

/** Fills `into` and gives it back. Rejects with `ReducerProblem`, which names the module. */
export async function loadReducers(
  plan: Pick<Plan, 'operators'>,
  into: Map<string, Reducer> = loaded,
): Promise<Map<string, Reducer>> {
  for (const operator of plan.operators) {
    if (operator.kind !== 'window') continue;
    for (const { fn, module, exportName } of operator.aggregates) {
      const key = reducerKey(module, exportName);
      if (fn !== 'custom' || into.has(key)) continue;
      if (into.size >= REDUCERS_MAX) throw new ReducerProblem(`more than ${REDUCERS_MAX} reducers`);
      into.set(key, await loadReducer(module, exportName));
    }
  }
  return into;
}

function membersOf(module: string): Promise<Record<string, unknown>> {
  if (!isAbsolute(module) && !module.startsWith('file:')) return import(module);
  const url = isAbsolute(module) ? pathToFileURL(module) : new URL(module);
  const failed = failures.get(module);
  if (failed !== undefined) url.searchParams.set('retry', `${failed}`);
  return importModule(url.href);
}

async function loadReducer(module: string, exportName: string): Promise<Reducer> {
  let members: Readonly<Record<string, unknown>>;
  try {
    members = await membersOf(module);
  } catch (cause) {
    noteFailure(module);
    throw new ReducerProblem(`reducer module ${module} cannot be loaded: ${String(cause)}`, { cause });
  }
  const problem = reducerProblem(members[exportName]);
  if (problem === null) return members[exportName] as Reducer;
  noteFailure(module);
  throw new ReducerProblem(`export ${exportName} of ${module} ${problem}`);
}

function noteFailure(module: string): void {
  if (failures.size < REDUCERS_MAX) failures.set(module, (failures.get(module) ?? 0) + 1);
}
