/**
 * When lines of a replay are due, and how many of them go together.
 *
 * Role: for `file-source.ts`, when events are replayed in their own time, or faster by a factor. The first event with a
 * time is due at once, every other one its distance to that, divided by the factor, later. Lines whose times lie within
 * `TOGETHER_MS` of each other, by the clock given, are one batch: each by itself would wait for a write of its own.
 * A line without a time goes with the one before it, and the decoder says what is wrong with it.
 */
import { isMark, MARK_BYTES } from '../decode/utf8.ts';
import { DefinitionProblem } from '../define/definition-problem.ts';

/** Less than an event's way through the engine takes. */
const TOGETHER_MS = 5;
/** So many lines without a time, before there was any: it is the wrong field. */
const UNTIMED_MAX = 1000;

/** The first is the default. */
export const PACE_UNITS = ['ms', 's', 'us', 'ns', 'iso'] as const;
export type PaceUnit = (typeof PACE_UNITS)[number];
const MS_PER: Readonly<Record<Exclude<PaceUnit, 'iso'>, number>> = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };

export interface PaceOptions {
  /** Where a problem is told to be. */
  readonly name: string;
  /** Event time over time that passes; more than 0. */
  readonly speed: number;
  readonly timestamp: string;
  readonly unit: PaceUnit;
}

export interface PacedLines {
  /** Bytes of whole lines. */
  readonly end: number;
  /** By the clock given. */
  readonly dueMs: number;
}

export class ReplayPace {
  readonly #options: PaceOptions;
  readonly #now: () => number;
  #begin: { readonly clockMs: number; readonly eventMs: number } | null = null;
  #untimed = 0;

  constructor(options: PaceOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** Of the lines that begin `bytes`, those that go first: at most `linesMax`. `end` 0: not one whole line is there. */
  first(bytes: Buffer, linesMax: number): PacedLines {
    let end = 0;
    let dueMs = 0;
    let firstMs = Number.NaN;
    for (let lines = 0; lines < linesMax; lines++) {
      const at = bytes.indexOf(10, end);
      if (at < 0) break;
      const due = this.due(bytes.subarray(end, at));
      if (due - firstMs > TOGETHER_MS) break;
      if (!Number.isNaN(due)) {
        firstMs = Number.isNaN(firstMs) ? due : Math.min(firstMs, due);
        dueMs = Math.max(dueMs, due);
      }
      end = at + 1;
    }
    return { end, dueMs };
  }

  /** NaN when the line has no time. */
  due(line: Buffer): number {
    const { speed } = this.#options;
    const eventMs = this.#timeOf(line);
    if (Number.isNaN(eventMs)) {
      this.#countUntimed();
      return Number.NaN;
    }
    this.#begin ??= { clockMs: this.#now(), eventMs };
    return this.#begin.clockMs + (eventMs - this.#begin.eventMs) / speed;
  }

  #timeOf(line: Buffer): number {
    const { timestamp, unit } = this.#options;
    let value: unknown;
    try {
      value = (JSON.parse(lineText(line)) as Record<string, unknown> | null)?.[timestamp];
    } catch {
      // Not JSON: the decoder says so.
      return Number.NaN;
    }
    if (unit === 'iso') return typeof value === 'string' ? Date.parse(value) : Number.NaN;
    return typeof value === 'number' ? value * MS_PER[unit] : Number.NaN;
  }

  #countUntimed(): void {
    if (this.#begin !== null) return;
    this.#untimed += 1;
    const { name, timestamp, unit } = this.#options;
    if (this.#untimed >= UNTIMED_MAX) {
      const expected = `a field with a time in ${unit === 'iso' ? 'RFC 3339 text' : `numbers (${unit})`}: none of the first ${UNTIMED_MAX} lines has it`;
      throw DefinitionProblem.of(`${name}.timestamp`, timestamp, expected);
    }
  }
}

/** As the decoder reads it. */
export const lineText = (line: Buffer): string => line.toString('utf8', isMark(line, 0) ? MARK_BYTES : 0);
