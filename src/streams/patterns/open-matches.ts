/**
 * The partial matches of a shard as query results: how far each got, and since when.
 *
 * Role: answers `query`. Reads states only. A row's `end` is when its time will be over, `pane` its place among those of
 * its key; values are those the match would have so far.
 */
import type { Emitter, Keys, ResultRow, StateQuery } from '../operator.ts';
import { byRank, rankOf } from '../rank.ts';
import type { CompiledPattern } from './compile.ts';
import type { PatternState } from './key-state.ts';

interface Found {
  readonly row: ResultRow;
  readonly order: number;
}

export interface PatternStates {
  keys(): Iterable<number>;
  get(keyId: number): PatternState | undefined;
}

export function giveOpenMatches(
  pattern: CompiledPattern,
  states: PatternStates,
  keys: Keys,
  query: StateQuery,
  out: Emitter,
): void {
  const by = query.by === '' ? -1 : pattern.columns.indexOf(query.by);
  let found: Found[] = [];
  for (const keyId of queriedKeys(states, keys, query)) {
    const state = states.get(keyId);
    if (state === undefined) continue;
    for (const [pane, { taken }] of state.partials.entries()) {
      const start = taken.first.ts;
      const end = pattern.program.withinMs === 0 ? Infinity : start + pattern.program.withinMs;
      if (end <= query.fromMs || start >= query.toMs) continue;
      const values = pattern.values(taken);
      found.push({
        row: openRow(keyId, start, end, pane, values),
        order: rankOf(values[by]),
      });
    }
    if (found.length > 2 * query.limit + 1024) found = best(found, by, query.limit);
  }
  for (const { row } of best(found, by, query.limit)) out.emit(row);
}

function queriedKeys(states: PatternStates, keys: Keys, query: StateQuery): Iterable<number> {
  if (query.key === null) return states.keys();
  const keyId = keys.find(query.key);
  return keyId < 0 ? [] : [keyId];
}

/** By key and start, as they were found, unless by a value. */
function best(found: Found[], by: number, limit: number): Found[] {
  if (by >= 0) found.sort((a, b) => byRank(a.order, b.order) || a.row.keyId - b.row.keyId || a.row.pane - b.row.pane);
  return found.slice(0, limit);
}

function openRow(keyId: number, start: number, end: number, pane: number, values: unknown[]): ResultRow {
  const flags = { origin: '', timing: 'early', final: false, retraction: false, output: '', evidence: null } as const;
  return { keyId, start, end, pane, values, failed: null, ...flags };
}
