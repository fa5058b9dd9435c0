/**
 * What a violation of a schema reads like: path, value and expectation on one line.
 *
 * Role: the text a model reads to correct its call, e.g. `arguments/n must be integer, got "abc"`. Bounded: paths and
 * values come from the caller and are cut. Never shows more of a value than the caller sent.
 */
import type { ErrorObject } from 'ajv';
import { excerpt } from './definition-error.ts';

const PATH_CHARS_MAX = 200;
const ENUM_SHOWN_MAX = 20;
const ISSUES_SHOWN_MAX = 3;

/** One ajv violation. Wants `verbose` errors, which carry the value. */
export function describeViolation(violation: ErrorObject, subject: string): string {
  const path = subject + cut(violation.instancePath);
  const params = violation.params as Record<string, unknown>;
  switch (violation.keyword) {
    case 'required':
    case 'dependentRequired':
      return `${path} must have the property ${excerpt(params['missingProperty'])}`;
    case 'additionalProperties':
      return `${path} must not have the property ${excerpt(params['additionalProperty'])}`;
    case 'unevaluatedProperties':
      return `${path} must not have the property ${excerpt(params['unevaluatedProperty'])}`;
    case 'propertyNames':
      return `${path} must not have the property name ${excerpt(params['propertyName'])}`;
    case 'enum':
      return `${path} must be one of ${listed(params['allowedValues'])}, got ${excerpt(violation.data)}`;
    case 'const':
      return `${path} must be ${excerpt(params['allowedValue'])}, got ${excerpt(violation.data)}`;
    case 'false schema':
      return `${path} must be absent`;
    default:
      return `${path} ${violation.message ?? 'is not valid'}, got ${excerpt(violation.data)}`;
  }
}

function listed(values: unknown): string {
  if (!Array.isArray(values)) return 'the allowed values';
  const shown = values.slice(0, ENUM_SHOWN_MAX).map(excerpt).join(', ');
  return values.length > ENUM_SHOWN_MAX ? `${shown}, …` : shown;
}

/** The first issues of a Standard Schema library, each with its path. */
export function describeIssues(
  issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[],
  subject: string,
): string {
  const shown: string[] = [];
  for (const issue of issues.slice(0, ISSUES_SHOWN_MAX)) {
    shown.push(`${subject}${cut(pointer(issue.path ?? []))}: ${issue.message}`);
  }
  if (issues.length > ISSUES_SHOWN_MAX) shown.push(`and ${issues.length - ISSUES_SHOWN_MAX} more`);
  return shown.length === 0 ? `${subject} is not valid` : shown.join('; ');
}

/** A path element is a key, or an object with one. */
function pointer(path: readonly unknown[]): string {
  let text = '';
  for (const element of path) {
    const key = typeof element === 'object' && element !== null && 'key' in element ? element.key : element;
    text += `/${String(key)}`;
  }
  return text;
}

function cut(text: string): string {
  return text.length > PATH_CHARS_MAX ? `${text.slice(0, PATH_CHARS_MAX)}…` : text;
}
