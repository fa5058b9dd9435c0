/**
 * The name of a change: what buses coalesce by and streams are indexed under.
 *
 * Changes with the same key say the same thing; for a task the later state stands for the earlier one. The prefix
 * keeps a resource or task that is named like a list from being mistaken for it.
 */
import type { Change } from './port.ts';

export function changeKey(change: Change): string {
  switch (change.kind) {
    case 'resource':
      return `resource ${change.uri}`;
    case 'task':
      return taskKey(change.taskId);
    default:
      return change.kind;
  }
}

export function taskKey(taskId: string): string {
  return `task ${taskId}`;
}
