/**
 * The methods of the tasks extension: `tasks/get`, `tasks/update`, `tasks/cancel`.
 *
 * Role: the gate (only clients that declared the extension) and the shape of the params. What a task is, and whose, is
 * the manager's.
 */
import type { MaybePromise } from '../../sessions/port.ts';
import type { Caller, Channel, OpenRequest, RequestEnvelope } from '../channel.ts';
import { type Fault, fault, faultFrom } from '../faults.ts';
import { isJsonObject } from '../message-shape.ts';
import { answerFault, answerResult, idJsonIn } from './answers.ts';
import type { MethodDeps, MethodHandler } from './method-deps.ts';
import { paramsOf } from './params.ts';
import { declaresTasks, TASKS_REQUIRED } from './task-capability.ts';

const BAD_TASK_ID = fault('invalidParams', 'params.taskId must be a string');
const BAD_RESPONSES = fault('invalidParams', 'params.inputResponses must be an object');

/** The store's answer is on its way; there is no work to stop. */
const LOOKING_UP: OpenRequest = { cancel: () => undefined };

type TaskQuestion = (
  deps: MethodDeps,
  taskId: string,
  principalId: string | null,
  params: Record<string, unknown>,
) => MaybePromise<string | Fault>;

function taskMethod(question: TaskQuestion): MethodHandler {
  return (deps, caller, envelope, channel) => {
    const found = paramsOf(envelope);
    if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
    const { params } = found;
    if (!declaresTasks(params)) return answerFault(deps, caller.revision, envelope, channel, TASKS_REQUIRED);
    const taskId = params['taskId'];
    if (typeof taskId !== 'string') return answerFault(deps, caller.revision, envelope, channel, BAD_TASK_ID);
    const answer = question(deps, taskId, caller.principal?.id ?? null, params);
    if (!(answer instanceof Promise)) return give(deps, caller, envelope, channel, answer);
    return giveLater(deps, caller, envelope, channel, answer);
  };
}

function give(
  deps: MethodDeps,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  answer: string | Fault,
): null {
  if (typeof answer === 'string') return answerResult(deps, envelope, channel, answer);
  return answerFault(deps, caller.revision, envelope, channel, answer);
}

function giveLater(
  deps: MethodDeps,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  answer: Promise<string | Fault>,
): OpenRequest {
  // The body is only lent, and an envelope that stays must not need it.
  const kept: RequestEnvelope = { ...envelope, idJson: idJsonIn(envelope) };
  answer.then(
    (given) => give(deps, caller, kept, channel, given),
    (cause: unknown) => {
      deps.log.error({ err: cause, method: kept.method }, 'the task store failed');
      answerFault(deps, caller.revision, kept, channel, faultFrom(cause));
    },
  );
  return LOOKING_UP;
}

export const getTask = taskMethod((deps, taskId, principalId) => deps.tasks.get(taskId, principalId));

export const cancelTask = taskMethod((deps, taskId, principalId) => deps.tasks.cancel(taskId, principalId));

export const updateTask = taskMethod((deps, taskId, principalId, params) => {
  const responses = params['inputResponses'];
  return isJsonObject(responses) ? deps.tasks.update(taskId, principalId, responses) : BAD_RESPONSES;
});
