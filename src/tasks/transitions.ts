/**
 * The life of a task as a table: what each event makes of each status.
 *
 * Role: the only place that decides whether an event still counts. `null` means it does not: the task keeps its
 * status, and whoever sent the event hears nothing. The mapped type makes a missing cell a compile error.
 * Source of the states: the tasks extension (`io.modelcontextprotocol/tasks`), section on task status.
 */
import type { TaskRecord, TaskStatus } from './port.ts';

/** `answered`: the last open question got its answer. `completed`: any result, `isError` ones too. */
export type TaskEvent = 'asked' | 'answered' | 'completed' | 'failed' | 'cancelled';

type Row = { readonly [E in TaskEvent]: TaskStatus | null };

const FINAL: Row = { asked: null, answered: null, completed: null, failed: null, cancelled: null };

const TRANSITIONS: { readonly [S in TaskStatus]: Row } = {
  working: {
    asked: 'input_required',
    answered: null,
    completed: 'completed',
    failed: 'failed',
    cancelled: 'cancelled',
  },
  input_required: {
    asked: 'input_required',
    answered: 'working',
    completed: 'completed',
    failed: 'failed',
    cancelled: 'cancelled',
  },
  completed: FINAL,
  failed: FINAL,
  cancelled: FINAL,
};

export function nextStatus(status: TaskStatus, event: TaskEvent): TaskStatus | null {
  return TRANSITIONS[status][event];
}

export function isTerminal(status: TaskStatus): boolean {
  return TRANSITIONS[status] === FINAL;
}

/** A task's time counts from its creation, whatever the wall clock is set to meanwhile. */
export function isExpired(record: TaskRecord, nowMs: number): boolean {
  return record.ttlMs !== null && nowMs - record.bornAtMs > record.ttlMs;
}
