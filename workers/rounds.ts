/**
 * Multi-round calls of 2026-07-28: what earlier rounds answered is restored before the handler runs, and what it asks
 * now leaves as an `input_required` result with the state sealed into `requestState`.
 *
 * Role: lets a handler be written as if it could wait for the user. Nothing is kept on the server between rounds; the
 * seal binds the state to principal, method, name and arguments, so it is worth nothing in another call.
 */
import { Buffer } from 'node:buffer';
import { type Fault, fault } from '../src/protocol/faults.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';
import type { Binding, RequestStateCodec } from '../src/protocol/request-state.ts';
import type { CallContext } from './call-context.ts';
import type { ResultEncoder } from './encode-result.ts';

/** Null when the call may go on. Does nothing for a first round or an earlier revision. */
export function restoreRounds(context: CallContext, codec: RequestStateCodec): Fault | null {
  if (context.revision.era !== 'stateless') return null;
  const responses = context.params['inputResponses'];
  const token = context.params['requestState'];
  if (responses === undefined && token === undefined) return null;
  if (responses !== undefined && !isJsonObject(responses)) {
    return fault('invalidParams', 'inputResponses must be an object of answers by key');
  }
  const answers: Record<string, unknown> = Object.create(null);
  if (token !== undefined) {
    const binding = bindingOf(context, context.params['arguments']);
    const state = typeof token === 'string' ? codec.open(token, binding, Date.now()) : null;
    if (state === null)
      return fault('invalidParams', 'requestState is not one this server made for this call, or it has expired');
    Object.assign(answers, state.answers);
    for (const [name, value] of Object.entries(state.values)) context.state.set(name, value);
  }
  context.answers = Object.assign(answers, responses);
  return null;
}

/** The whole response, or why the call cannot go on in another round. */
export function inputRequiredAnswer(
  encoder: ResultEncoder,
  context: CallContext,
  codec: RequestStateCodec,
): string | Fault {
  const questions = Object.fromEntries(context.questions ?? []);
  const answers: Record<string, unknown> = {};
  for (const [key, answer] of Object.entries(context.answers ?? {})) {
    if (context.wasAnswered(key)) answers[key] = answer;
  }
  const values = Object.fromEntries(context.usedState ?? []);
  try {
    const state = codec.seal({ answers, values, round: 1 }, bindingOf(context, originalArguments(context)), Date.now());
    return encoder.inputRequired(context.idJson, questions, state);
  } catch (error) {
    // What the handler put into `state`: too much of it, or what is no JSON.
    const why = error instanceof Error ? error.message : String(error);
    return fault('internal', `what ${context.entry.name} keeps for its next round cannot be sealed: ${why}`);
  }
}

/** A handler may have changed those it was given, and the client sends its own again. */
function originalArguments(context: CallContext): unknown {
  return JSON.parse(Buffer.from(context.body).toString('utf8')).params?.arguments;
}

function bindingOf(context: CallContext, args: unknown): Binding {
  const name = context.params['name'] ?? context.params['uri'];
  return {
    principalId: context.principal?.id ?? '',
    method: context.entry.method,
    name: typeof name === 'string' ? name : context.entry.name,
    arguments: args ?? {},
  };
}
