/**
 * The filter of `subscriptions/listen`: what a client asked to be told, checked and bounded.
 *
 * Role: turns the untrusted `params` into a `Filter` or a fault. Whether the caller may hear of a task is decided
 * later, by the task store; whether a resource exists is not asked at all, since one may appear while the stream is
 * open. Unknown members are left out of the acknowledgement, as newer clients expect.
 */
import type { JsonObject } from '../protocol/channel.ts';
import { type Fault, fault } from '../protocol/faults.ts';
import { isJsonObject } from '../protocol/message-shape.ts';
import { declaresTasks, TASKS_REQUIRED } from '../protocol/methods/task-capability.ts';

/** Together with the limit on their number it bounds what one stream can pin in memory. */
export const RESOURCE_URI_CHARS_MAX = 2048;
export const TASK_ID_CHARS_MAX = 256;

export interface Filter {
  readonly tools: boolean;
  readonly prompts: boolean;
  readonly resources: boolean;
  /** Null when the member was absent: it is then absent from the acknowledgement, too. No duplicates. */
  readonly resourceUris: readonly string[] | null;
  readonly taskIds: readonly string[] | null;
}

/** `resourcesMax` bounds the resource URIs and, separately, the task ids of one stream. */
export function parseFilter(params: JsonObject, resourcesMax: number): Filter | Fault {
  const wanted = params['notifications'];
  if (!isJsonObject(wanted)) return fault('invalidParams', 'params.notifications must be an object');
  const flags: boolean[] = [];
  for (const name of ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged']) {
    const flag = wanted[name];
    if (flag !== undefined && typeof flag !== 'boolean') {
      return fault('invalidParams', `params.notifications.${name} must be a boolean`);
    }
    flags.push(flag === true);
  }
  const uris = names(wanted, 'resourceSubscriptions', resourcesMax, RESOURCE_URI_CHARS_MAX);
  if (isFault(uris)) return uris;
  const taskIds = names(wanted, 'taskIds', resourcesMax, TASK_ID_CHARS_MAX);
  if (isFault(taskIds)) return taskIds;
  if (taskIds !== null && !declaresTasks(params)) return TASKS_REQUIRED;
  return {
    tools: flags[0] === true,
    prompts: flags[1] === true,
    resources: flags[2] === true,
    resourceUris: uris,
    taskIds,
  };
}

/** The `notifications` member of the acknowledgement: only what will be sent. */
export function honouredJson(filter: Filter, taskIds: readonly string[]): string {
  const honoured: Record<string, unknown> = {};
  if (filter.tools) honoured['toolsListChanged'] = true;
  if (filter.prompts) honoured['promptsListChanged'] = true;
  if (filter.resources) honoured['resourcesListChanged'] = true;
  if (filter.resourceUris !== null) honoured['resourceSubscriptions'] = filter.resourceUris;
  if (filter.taskIds !== null) honoured['taskIds'] = taskIds;
  return JSON.stringify(honoured);
}

function names(
  wanted: JsonObject,
  member: string,
  countMax: number,
  charsMax: number,
): readonly string[] | null | Fault {
  const list = wanted[member];
  if (list === undefined) return null;
  const where = `params.notifications.${member}`;
  if (!Array.isArray(list)) return fault('invalidParams', `${where} must be an array of strings`);
  if (list.length > countMax)
    return fault('invalidParams', `${where} may hold ${countMax} entries`, { limit: countMax });
  const unique = new Set<string>();
  for (const item of list) {
    if (typeof item !== 'string' || item.length === 0 || item.length > charsMax) {
      return fault('invalidParams', `${where} must hold strings of 1 to ${charsMax} characters`);
    }
    unique.add(item);
  }
  return [...unique];
}

function isFault(value: readonly string[] | null | Fault): value is Fault {
  return value !== null && 'message' in value;
}
