/**
 * What is wrong with definitions: all of it at once, each with its path, the value there, and what was expected.
 *
 *   streams[0].windows[2].slideMs: 7, expected a divisor of sizeMs (60000)
 *
 * Role: the one error of declaring, thrown by `compilePlan`, `defineStream` and by connectors about their options.
 * Lists and objects are never repeated in it: they may hold headers and passwords.
 */
import { nearest } from '../../config/nearest.ts';
import { EXCERPT_CHARACTERS_MAX, PROBLEMS_MAX } from './limits.ts';

export interface Problem {
  /** `streams[0].windows[2].slideMs` */
  readonly path: string;
  /** The value, shortened; `missing`. */
  readonly value: string;
  readonly expected: string;
  readonly suggestion: string | null;
}

export class DefinitionProblem extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(lineOf).join('\n'));
    this.name = 'DefinitionProblem';
    this.problems = problems;
  }

  /** As the message has them. */
  get lines(): readonly string[] {
    return this.problems.map(lineOf);
  }

  /** One problem. */
  static of(path: string, value: unknown, expected: string): DefinitionProblem {
    return new DefinitionProblem([problemOf(path, value, expected, [])]);
  }
}

/** Problems as they are found. */
export class Findings {
  readonly #problems: Problem[] = [];
  #more = 0;

  get none(): boolean {
    return this.#problems.length === 0;
  }

  add(path: string, value: unknown, expected: string, known: readonly string[] = []): void {
    this.put(problemOf(path, value, expected, known));
  }

  put(problem: Problem): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
    else this.#more += 1;
  }

  throwIfAny(): void {
    if (this.none) return;
    if (this.#more === 0) throw new DefinitionProblem(this.#problems);
    const rest = { path: 'streams', value: `${this.#more} more problems`, expected: 'none', suggestion: null };
    throw new DefinitionProblem([...this.#problems, rest]);
  }
}

/** `a.b`, `a[0]`, `a["b c"]` */
export function at(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

function problemOf(path: string, value: unknown, expected: string, known: readonly string[]): Problem {
  // Of a name of one or two letters every other one is near.
  const suggestion = typeof value === 'string' && value.length > 2 ? nearest(value, known) : null;
  return { path, value: excerptOf(value), expected, suggestion };
}

export function excerptOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > EXCERPT_CHARACTERS_MAX ? `${text.slice(0, EXCERPT_CHARACTERS_MAX)}…` : text;
}

function lineOf({ path, value, expected, suggestion }: Problem): string {
  return `${path === '' ? 'definition' : path}: ${value}, expected ${expected}${suggestion === null ? '' : `; did you mean ${suggestion}?`}`;
}
