/**
 * A task on the wire: the flat shapes of the tasks extension, written from the record.
 *
 * Role: the only place that knows member names and date format. Results and questions are kept as JSON text and
 * spliced in as they are, so a large result is never parsed again.
 */
import type { TaskRecord } from './port.ts';

/** Answer to `tasks/update` and `tasks/cancel`; `metaJson` as below. */
export function acknowledgementJson(metaJson: string): string {
  return `{"resultType":"complete"${metaMember(metaJson)}}`;
}

/** Answer to the `tools/call` that became a task. `metaJson` is the `_meta` object, or `''`. */
export function createTaskResultJson(record: TaskRecord, metaJson: string): string {
  return `{"resultType":"task",${taskMembers(record)}${metaMember(metaJson)}}`;
}

/** Answer to `tasks/get`. */
export function getTaskResultJson(record: TaskRecord, metaJson: string): string {
  return `{"resultType":"complete",${taskMembers(record)}${outcomeMember(record)}${metaMember(metaJson)}}`;
}

/** DetailedTask: the params of `notifications/tasks`. */
export function detailedTaskJson(record: TaskRecord): string {
  return `{${taskMembers(record)}${outcomeMember(record)}}`;
}

function taskMembers(record: TaskRecord): string {
  const message = record.statusMessage === '' ? '' : `"statusMessage":${JSON.stringify(record.statusMessage)},`;
  const created = new Date(record.createdAt).toISOString();
  const updated = new Date(record.lastUpdatedAt).toISOString();
  return (
    `"taskId":${JSON.stringify(record.taskId)},"status":"${record.status}",${message}` +
    `"createdAt":"${created}","lastUpdatedAt":"${updated}",` +
    `"ttlMs":${record.ttlMs},"pollIntervalMs":${record.pollIntervalMs}`
  );
}

function outcomeMember(record: TaskRecord): string {
  switch (record.status) {
    case 'input_required':
      return `,"inputRequests":{${[...record.inputRequests].map(([key, json]) => `${JSON.stringify(key)}:${json}`)}}`;
    case 'completed':
      return `,"result":${record.resultJson}`;
    case 'failed':
      return `,"error":${record.errorJson}`;
    default:
      return '';
  }
}

function metaMember(metaJson: string): string {
  return metaJson === '' ? '' : `,"_meta":${metaJson}`;
}
