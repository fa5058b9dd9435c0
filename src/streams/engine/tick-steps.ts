/**
 * What a tick of the log becomes: the time itself, partitions that are silent since, and streams that miss their data.
 *
 * Role: part of the engine's turning of records into steps, in log order; the books it is given go on by it.
 */
import type { Plan } from '../plan.ts';
import type { TickRecord } from './engine.ts';
import type { StreamBook } from './intake/books.ts';
import type { Step } from './task.ts';

export function tickSteps(
  plan: Plan,
  books: readonly StreamBook[],
  { idle, nowMs }: TickRecord,
  { clockMs, seq }: { readonly seq: number; readonly clockMs: number },
): readonly Step[] {
  const steps: Step[] = [{ kind: 'tick', seq, nowMs }];
  for (const { stream, partition } of idle) {
    const book = books.find((each) => each.plan.name === stream);
    if (book === undefined) continue;
    const before = book.watermark;
    book.observe({ kind: 'idle', partitions: [partition] }, clockMs);
    const { watermark } = book;
    if (watermark > before) steps.push({ kind: 'advance', seq, stream: book.plan.index, watermark });
  }
  addSilent(plan, books, nowMs, seq, steps);
  return steps;
}

/** Streams that wait for what does not come. */
function addSilent(plan: Plan, books: readonly StreamBook[], nowMs: number, seq: number, steps: Step[]): void {
  for (const operator of plan.operators) {
    if (operator.kind !== 'anomaly' || operator.type !== 'missing') continue;
    const { stream } = operator;
    const timeMs = books[stream]?.silentTime(nowMs) ?? null;
    const isKnown = steps.some((step) => step.kind === 'silent' && step.stream === stream);
    if (timeMs !== null && !isKnown) steps.push({ kind: 'silent', seq, stream, timeMs });
  }
}
