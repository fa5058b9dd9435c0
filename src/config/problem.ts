/**
 * What is wrong with a configuration, said in one line per problem: where the value came from, the value, and what is
 * allowed there. All problems are collected and told at once, as one `ConfigError`.
 *
 * Secrets are never repeated, not even wrong ones.
 */
import type { Option } from './options.ts';

/** Where a value came from. `options`: passed to a function by a program. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'flag' }
  | { readonly kind: 'env' }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'options' };

export const DEFAULT_ORIGIN: Origin = { kind: 'default' };
export const OPTIONS_ORIGIN: Origin = { kind: 'options' };

const SHOWN_CHARACTERS_MAX = 80;

export class ConfigError extends Error {
  readonly problems: readonly string[];
  /** Whether one of them stands on the command line, and not in a file or a variable. */
  readonly ofCommandLine: boolean;
  constructor(problems: readonly string[], ofCommandLine = false) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
    this.ofCommandLine = ofCommandLine;
  }
}

/** `--port`, `MILLRACE_PORT`, `millrace.config.yaml: port`, `port`. */
export function originLabel(option: Option, origin: Origin): string {
  if (origin.kind === 'flag') return option.flag === null ? option.name : `--${option.flag}`;
  if (origin.kind === 'env') return option.env;
  return origin.kind === 'file' ? `${origin.file}: ${option.name}` : option.name;
}

/** What stands in the place of a secret. */
export const HIDDEN = '(hidden)';

/** Whether there is a secret to hide: one that is not set is not. */
export function isHidden(option: Option, value: unknown): boolean {
  return option.facts.secret === true && value !== '' && !(Array.isArray(value) && value.length === 0);
}

/** The value as it may be shown. */
export function shown(option: Option, value: unknown): string {
  if (isHidden(option, value)) return HIDDEN;
  const written =
    typeof value === 'string' && /^[\w.:/*@-]+$/.test(value) ? value : (JSON.stringify(value) ?? 'undefined');
  return written.length > SHOWN_CHARACTERS_MAX ? `${written.slice(0, SHOWN_CHARACTERS_MAX)}…` : written;
}

/** A text that without its quotes would be shown as the number, or the true or false, that was expected. */
const looksLikeOther = (value: unknown): boolean =>
  typeof value === 'string' && /^([+-]?\d+(\.\d+)?|true|false|null)$/.test(value);

/** `--port 70000: must be an integer from 0 to 65535` */
export function problemWith(option: Option, origin: Origin, value: unknown, reason: string): string {
  const isText = origin.kind === 'flag' || origin.kind === 'env';
  const joint = origin.kind === 'flag' ? ' ' : isText ? '=' : ' = ';
  const quoted = !isText && looksLikeOther(value) && !isHidden(option, value);
  return `${originLabel(option, origin)}${joint}${quoted ? JSON.stringify(value) : shown(option, value)}: ${reason}`;
}

export function notAllowed(option: Option, origin: Origin, value: unknown): string {
  return problemWith(option, origin, value, `must be ${option.facts.allowed}`);
}

/** `--prot: unknown option, did you mean --port?` */
export function unknown(written: string, suggestion: string | null): string {
  return `${written}: unknown option${suggestion === null ? '' : `, did you mean ${suggestion}?`}`;
}
