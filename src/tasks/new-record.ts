/**
 * A task as it begins.
 *
 * Role: puts what a tool wishes for its task within the bounds of the settings.
 */
import type { Settings } from '../config/settings.ts';
import type { TaskWish } from '../dispatch/job.ts';
import type { TaskRecord } from './port.ts';

export function newRecord(
  taskId: string,
  principalId: string | null,
  wish: TaskWish,
  settings: Settings['tasks'],
  now: number,
  bornAtMs: number,
): TaskRecord {
  const { ttlMsMax, pollIntervalMs } = settings;
  return {
    taskId,
    principalId,
    status: 'working',
    statusMessage: '',
    bornAtMs,
    createdAt: now,
    lastUpdatedAt: now,
    ttlMs: wish.ttlMs === null ? ttlMsMax : Math.min(positive(wish.ttlMs, ttlMsMax), ttlMsMax),
    pollIntervalMs: positive(wish.pollIntervalMs, pollIntervalMs),
    inputRequests: new Map(),
    resultJson: '',
    errorJson: '',
  };
}

/** Whole milliseconds of at least one; `otherwise` for what is no such number. */
function positive(ms: number, otherwise: number): number {
  return Number.isFinite(ms) && ms > 0 ? Math.max(1, Math.round(ms)) : otherwise;
}
