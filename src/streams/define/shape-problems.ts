/**
 * Holds a value against a schema and says what is wrong in the words of `definition-problem.ts`.
 *
 * Role: the one place that reads zod's issues. Of the alternatives of a union the one is told that the value was meant
 * to be: an object is compared with the objects.
 */
import type { z } from 'zod';
import { at, type Findings } from './definition-problem.ts';
import { KNOWN_SEPARATOR } from './schema-parts.ts';

/** The value as the schema reads it; null when it has problems, which `findings` then has. */
export function shaped<T>(schema: z.ZodType<T>, value: unknown, path: string, findings: Findings): T | null {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  for (const issue of read.error.issues) tell(issue, value, path, findings);
  return null;
}

function tell(issue: z.core.$ZodIssue, root: unknown, rootPath: string, findings: Findings): void {
  let path = rootPath;
  let value = root;
  for (const step of issue.path) {
    const member = typeof step === 'number' ? step : String(step);
    path = at(path, member);
    value =
      typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[member] : undefined;
  }
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(KNOWN_SEPARATOR);
    for (const member of issue.keys) {
      findings.add(at(path, member), member, `no such member, but one of ${known.join(', ')}`, known);
    }
    return;
  }
  if (issue.code === 'invalid_union') {
    const meant = meantBranch(issue.errors);
    for (const inner of meant ?? []) tell(inner, value, path, findings);
    if (meant !== null) return;
  }
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message ?? issue.message;
    findings.add(path, String(issue.path.at(-1)), expected);
    return;
  }
  const known = issue.code === 'invalid_value' ? issue.values.map(String) : [];
  findings.add(path, value, issue.message, known);
}

/** The alternative of the value's own form with the fewest problems; null when none is. */
function meantBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | null {
  let best: readonly z.core.$ZodIssue[] | null = null;
  for (const issues of branches) {
    const sameForm = issues.every(({ code, path }) => path.length > 0 || code === 'unrecognized_keys');
    if (sameForm && (best === null || issues.length < best.length)) best = issues;
  }
  return best;
}
