/**
 * What a handler threw, as the answer its client gets.
 *
 * Role: authors' `ProtocolError`s keep their code; a missing capability is -32021 where that exists; any other error
 * of a tool is a result with `isError` and the error's message, so that a model can react; of a resource or prompt it
 * is an internal error. Stacks and causes go to the log, never to the client.
 */
import { MissingCapabilityError, ProtocolError } from '../src/catalogue/define.ts';
import { type Fault, fault } from '../src/protocol/faults.ts';
import type { CallContext } from './call-context.ts';
import { errorResult, type ResultEncoder } from './encode-result.ts';
import type { RunnerPort } from './port.ts';
import { describeError } from './thread-guard.ts';

export interface FailureAnswer {
  /** The whole response, or '' when `fault` or an internal error is the answer. */
  readonly text: string;
  readonly fault: Fault | null;
}

export function failureAnswer(
  encoder: ResultEncoder,
  context: CallContext,
  error: unknown,
  port: RunnerPort,
): FailureAnswer {
  const stateless = context.revision.era === 'stateless';
  if (error instanceof ProtocolError) return { text: encodeProtocolError(context.idJson, error), fault: null };
  if (error instanceof MissingCapabilityError && stateless) {
    return {
      text: '',
      fault: fault('missingCapability', error.message, { requiredCapabilities: error.requiredCapabilities }),
    };
  }
  const message = messageOf(error);
  const wasStopped = error instanceof DOMException && error.name === 'AbortError';
  // A tool that unwinds because it was asked to is no failure of its own.
  port.log(wasStopped ? 'debug' : 'error', context.entry.name, context.correlationId, describeError(error));
  if (context.entry.tool === null) return { text: '', fault: null };
  return { text: encoder.toolResult(context.idJson, context.revision, errorResult(message)), fault: null };
}

function encodeProtocolError(idJson: string, error: ProtocolError): string {
  const id = idJson === '' ? '' : `"id":${idJson},`;
  const data = error.data === undefined ? '' : `,"data":${JSON.stringify(error.data)}`;
  return `{"jsonrpc":"2.0",${id}"error":{"code":${error.code},"message":${JSON.stringify(error.message)}${data}}}`;
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  if (typeof error === 'string') return error;
  // Errors of another realm, and the plain objects that some libraries throw in their place.
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : 'the tool failed';
}
