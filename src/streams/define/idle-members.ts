/**
 * Members of a definition that have no effect beside the others it has.
 *
 * Role: the last check of what is declared, or defined by a call, and valid otherwise: nobody should rely on a setting
 * that does nothing. It is not part of compiling: definitions that are in force already go on with such members, since
 * a checkpoint that cannot be read would be a high price for a harmless setting.
 * A value that means "none" (0, the default) is not refused. Nor is `accumulation` of a window with a single result: it
 * is part of the shape of the window's state, which lateness is not, so declaring it from the beginning lets the state
 * go on when lateness is added later.
 */
import type {
  AlertDefinition,
  LimitsDefinition,
  PatternDefinition,
  StreamDefinition,
  WindowDefinition,
} from './definition.ts';
import { at, Findings } from './definition-problem.ts';

/** `definition`: has been compiled. */
export function checkIdleMembers(definition: StreamDefinition, path: string, findings: Findings): void {
  const { alerts = [], limits = {}, patterns = [], windows = [] } = definition;
  checkLimits(limits, at(path, 'limits'), findings);
  checkTime(definition, path, findings);
  for (const [i, window] of windows.entries()) checkWindow(window, at(at(path, 'windows'), i), findings);
  for (const [i, pattern] of patterns.entries()) checkPattern(pattern, at(at(path, 'patterns'), i), findings);
  for (const [i, alert] of alerts.entries()) checkAlert(alert, at(at(path, 'alerts'), i), findings);
}

/** Of the operator that a call has put last in the list of its stream. */
export function idleMembersOfLast(
  definitions: readonly StreamDefinition[],
  { kind, stream }: { readonly kind: 'windows' | 'patterns'; readonly stream: string },
): Findings {
  const findings = new Findings();
  const index = definitions.findIndex(({ name }) => name === stream);
  const { patterns = [], windows = [] } = definitions[index] ?? {};
  const path = at(at('streams', index), kind);
  const [window, pattern] = [windows.at(-1), patterns.at(-1)];
  if (kind === 'windows' && window !== undefined) checkWindow(window, at(path, windows.length - 1), findings);
  if (kind === 'patterns' && pattern !== undefined) checkPattern(pattern, at(path, patterns.length - 1), findings);
  return findings;
}

function checkLimits({ onFull, spillBytesMax }: LimitsDefinition, path: string, findings: Findings): void {
  if (spillBytesMax === undefined || onFull === 'spill') return;
  findings.add(at(path, 'spillBytesMax'), spillBytesMax, 'onFull "spill" beside it: nothing goes to disk without');
}

function checkTime({ dedup = {}, schema, time = {} }: StreamDefinition, path: string, findings: Findings): void {
  const { maxFutureMs = 0 } = time;
  if (maxFutureMs > 0 && (schema.timestamp ?? 'arrival') === 'arrival') {
    const expected = 'a field as schema.timestamp beside it: an event that arrives is never ahead of its arrival';
    findings.add(at(at(path, 'time'), 'maxFutureMs'), maxFutureMs, expected);
  }
  const { batchIdsMax, idsMax, ttlMs = 0 } = dedup;
  if (ttlMs === 0 || idsMax !== 0 || batchIdsMax !== 0) return;
  findings.add(at(at(path, 'dedup'), 'ttlMs'), ttlMs, 'idsMax or batchIdsMax above 0 beside it: no id is remembered');
}

function checkWindow(window: WindowDefinition, path: string, findings: Findings): void {
  const { count = 0, retainRows = 0, trigger = {} } = window;
  const { everyCount = 0, everyMs = 0 } = trigger;
  if (window.type === 'count' && everyCount >= count && everyCount > 0) {
    findings.add(
      at(at(path, 'trigger'), 'everyCount'),
      everyCount,
      `less than count (${count}), which ends the window`,
    );
  }
  if (window.type === 'global' && retainRows > 0 && everyCount === 0 && everyMs === 0) {
    findings.add(at(path, 'retainRows'), retainRows, 'trigger beside it: a global window has no other results');
  }
}

function checkPattern({ steps: [first] }: PatternDefinition, path: string, findings: Findings): void {
  const contiguity = first?.contiguity ?? 'followedBy';
  if (contiguity === 'followedBy') return;
  const expected = 'a step before it: the first one begins a match with any event it takes';
  findings.add(at(at(at(path, 'steps'), 0), 'contiguity'), contiguity, expected);
}

/** Results of alerts are told over MCP, to sinks and to other streams, whoever is silent. */
function checkAlert(
  { actions = [], groupBy = [], silenceMs = 0 }: AlertDefinition,
  path: string,
  findings: Findings,
): void {
  const calls = actions.some((action) => 'webhook' in action);
  if (silenceMs > 0 && !calls) {
    findings.add(at(path, 'silenceMs'), silenceMs, 'a webhook among actions: all others are told of each alert');
  }
  if (groupBy.length > 0 && silenceMs === 0) {
    const expected = 'silenceMs above 0 beside it: alerts of a group are told one by one without';
    findings.add(at(path, 'groupBy'), groupBy, expected);
  }
}
