/**
 * Shapes of the tasks extension, which the official schema files do not hold: task, its announcement, its details.
 *
 * Written from the extension's text: flat, no wrapper, ISO 8601 dates, `ttlMs` an integer or null, and exactly the
 * outcome member that belongs to the status.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formatsModule from 'ajv-formats';

const ajv = new Ajv2020({ strict: false, allErrors: true });
formatsModule.default(ajv);

const TASK = {
  type: 'object',
  properties: {
    taskId: { type: 'string', minLength: 22 },
    status: { enum: ['working', 'input_required', 'completed', 'failed', 'cancelled'] },
    statusMessage: { type: 'string' },
    createdAt: { type: 'string', format: 'date-time' },
    lastUpdatedAt: { type: 'string', format: 'date-time' },
    ttlMs: { type: ['integer', 'null'], minimum: 0 },
    pollIntervalMs: { type: 'integer', minimum: 1 },
    requestState: false,
    task: false,
  },
  required: ['taskId', 'status', 'createdAt', 'lastUpdatedAt', 'ttlMs'],
};

const outcome = (status: string, member: string): object => ({
  if: { properties: { status: { const: status } } },
  // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema.
  then: { required: [member], properties: { [member]: { type: 'object' } } },
  else: { properties: { [member]: false } },
});

const DETAILED = {
  allOf: [TASK, outcome('completed', 'result'), outcome('failed', 'error'), outcome('input_required', 'inputRequests')],
};

const stamped = (resultType: string, base: object): object => ({
  allOf: [base, { properties: { resultType: { const: resultType } }, required: ['resultType'] }],
});

const validators = {
  CreateTaskResult: ajv.compile(stamped('task', TASK)),
  GetTaskResult: ajv.compile(stamped('complete', DETAILED)),
  TaskNotification: ajv.compile({ properties: { params: DETAILED }, required: ['params'] }),
} as const;

export type TaskShape = keyof typeof validators;

export function taskShapeProblems(name: TaskShape, value: unknown): string {
  const validate = validators[name];
  return validate(value) ? '' : ajv.errorsText(validate.errors, { dataVar: name });
}
