/**
 * The name of a change: what buses coalesce by and streams are indexed under.
 *
 * Changes with the same key say the same thing; for a task the later state stands for the earlier one. The prefix
 * keeps a resource or task that is named like a list from being mistaken for it.
 */
import type { Change } from './port.ts';

const RESOURCE = 'resource ';

export function changeKey(change: Change): string {
  switch (change.kind) {
    case 'resource':
      return `${RESOURCE}${change.uri}`;
    case 'task':
      return taskKey(change.taskId);
    default:
      return change.kind;
  }
}

/** The change a key names; null for a task's, whose state is not in its name. */
export function changeNamed(key: string): Exclude<Change, { kind: 'task' | 'missed' }> | null {
  if (key.startsWith(RESOURCE)) return { kind: 'resource', uri: key.slice(RESOURCE.length) };
  return key === 'tools' || key === 'resources' || key === 'prompts' ? { kind: key } : null;
}

export function taskKey(taskId: string): string {
  return `task ${taskId}`;
}
