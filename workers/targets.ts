// HOT PATH
/**
 * The four things a job can call: tool, resource, prompt, completion. Each is checked, called and its answer encoded.
 *
 * Role: the only code that differs between kinds of entry. What a handler throws is not caught here.
 */
import { Buffer } from 'node:buffer';
import type { PromptMessage, PromptReturn, ResourceContents, ResourceReturn } from '../src/catalogue/define.ts';
import { ProtocolError } from '../src/catalogue/define.ts';
import type { JsonObject } from '../src/protocol/channel.ts';
import { type Fault, fault } from '../src/protocol/faults.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';
import { adaptBlock } from './adapt-content.ts';
import type { CallContext } from './call-context.ts';
import { errorResult, isFullResult, type ResultEncoder, toolResultOf } from './encode-result.ts';
import { completionProblem, contentsProblem, messagesProblem, resultProblem, valueProblem } from './returned-shapes.ts';

/** A completion may return no more. Source: the specification's CompleteResult. */
const COMPLETION_VALUES_MAX = 100;

/** `fault` null: `text` is the whole response. */
export interface TargetAnswer {
  /** The handler ran: how long it took says something about the next call. */
  readonly ran: boolean;
  readonly text: string;
  readonly isError: boolean;
  readonly fault: Fault | null;
}

/** Arguments that do not satisfy the tool's input schema: an answer, not an exception. */
class Rejected {
  readonly message: string;
  /** Not even a request as the protocol defines it, whatever the tool takes. */
  readonly malformed: boolean;
  constructor(message: string, malformed: boolean) {
    this.message = message;
    this.malformed = malformed;
  }
}

const refused = (f: Fault): TargetAnswer => ({ ran: true, text: '', isError: true, fault: f });
const done = (text: string, isError: boolean): TargetAnswer => ({ ran: true, text, isError, fault: null });
/** The handler returned what no result can be made of. */
const misshapen = (what: string, problem: string): TargetAnswer =>
  refused(fault('internal', `${what} returned what is no result: ${problem}`));

/** What the handler returned, or a promise of it. */
export function callTarget(context: CallContext): unknown {
  const { entry } = context;
  if (entry.tool !== null) return callTool(context);
  if (entry.resource !== null) return callResource(context);
  if (entry.prompt !== null) return callPrompt(context);
  return callCompletion(context);
}

function callTool(context: CallContext): unknown {
  const { entry, params } = context;
  const args = params['arguments'] ?? {};
  if (!isJsonObject(args)) return new Rejected('arguments must be an object', true);
  if (entry.validateInput === null) return entry.tool?.handler(args as never, context);
  const checked = entry.validateInput(args);
  if (checked instanceof Promise) {
    return checked.then((late) =>
      late.ok ? entry.tool?.handler(late.value as never, context) : new Rejected(late.message, false),
    );
  }
  return checked.ok ? entry.tool?.handler(checked.value as never, context) : new Rejected(checked.message, false);
}

function callResource(context: CallContext): unknown {
  const { entry, params } = context;
  const uri = params['uri'];
  if (typeof uri !== 'string') return new Rejected('params.uri must be a string', true);
  const variables = entry.template === null ? {} : entry.template.match(uri);
  if (variables === null) return undefined;
  return entry.resource?.handler(uri, variables, context);
}

function callPrompt(context: CallContext): unknown {
  const { entry, params } = context;
  const args = params['arguments'] ?? {};
  if (!isJsonObject(args)) return new Rejected('arguments must be an object of strings', true);
  for (const name of Object.keys(args)) {
    if (typeof args[name] !== 'string') return new Rejected(`arguments/${name} must be a string`, true);
  }
  for (const declared of entry.prompt?.arguments ?? []) {
    if (declared.required === true && !Object.hasOwn(args, declared.name))
      return new Rejected(`arguments/${declared.name} is required`, false);
  }
  return entry.prompt?.handler(args as Record<string, string>, context);
}

function callCompletion(context: CallContext): unknown {
  const { entry, params } = context;
  const argument = params['argument'];
  if (!isJsonObject(argument) || typeof argument['name'] !== 'string' || typeof argument['value'] !== 'string') {
    return new Rejected('params.argument must be an object with the strings name and value', true);
  }
  const given = (params['context'] as JsonObject | undefined)?.['arguments'];
  const known = { arguments: (isJsonObject(given) ? given : {}) as Record<string, string>, argument: argument['name'] };
  return entry.complete?.(argument['value'], known);
}

export function encodeAnswer(encoder: ResultEncoder, context: CallContext, value: unknown): TargetAnswer {
  const { entry } = context;
  if (value instanceof Rejected) return encodeRejection(encoder, context, value);
  if (entry.tool !== null) return encodeTool(encoder, context, value);
  if (entry.resource !== null) return encodeResource(encoder, context, value as ResourceReturn);
  if (entry.prompt !== null) return encodePrompt(encoder, context, value as PromptReturn);
  return encodeCompletion(encoder, context, value as string[] | JsonObject | undefined);
}

/** Bad tool arguments are a result the model can correct (SEP-1303); before 2025-11-25 an error. */
function encodeRejection(encoder: ResultEncoder, context: CallContext, rejected: Rejected): TargetAnswer {
  const asFault = rejected.malformed || context.entry.tool === null || !context.revision.icons;
  if (asFault) return { ran: false, text: '', isError: true, fault: fault('invalidParams', rejected.message) };
  const text = encoder.toolResult(context.idJson, context.revision, errorResult(rejected.message));
  return { ran: false, text, isError: true, fault: null };
}

function encodeTool(encoder: ResultEncoder, context: CallContext, value: unknown): TargetAnswer {
  const { entry, idJson, revision } = context;
  const validate = entry.validateOutput;
  if (typeof value === 'string' && validate === null) return done(encoder.textResult(idJson, revision, value), false);
  const full = isFullResult(value) ? value : null;
  const problem = full === null ? valueProblem(value) : resultProblem(full);
  if (problem !== null) return misshapen(`tool ${entry.name}`, problem);
  if (full?.isError === true) return done(encoder.toolResult(idJson, revision, full), true);
  if (validate === null) return done(encoder.toolResult(idJson, revision, full ?? toolResultOf(value, false)), false);
  const checked = validate(full === null ? value : full.structuredContent);
  if (checked instanceof Promise)
    throw new ProtocolError(-32603, `the output schema of ${entry.name} must validate synchronously`);
  if (!checked.ok)
    return refused(
      fault('internal', `tool ${entry.name} returned what its output schema does not allow: ${checked.message}`),
    );
  // What the schema made of it: defaults are filled in, and members that the listed schema has not are gone.
  const result =
    full === null
      ? toolResultOf(checked.value, true)
      : { content: full.content, structuredContent: checked.value, _meta: full._meta };
  return done(encoder.toolResult(idJson, revision, result), false);
}

function encodeResource(encoder: ResultEncoder, context: CallContext, value: ResourceReturn): TargetAnswer {
  const { entry, revision, params } = context;
  const uri = String(params['uri']);
  const direct = value === undefined || typeof value === 'string' || value instanceof Uint8Array;
  const problem = direct ? null : contentsProblem(value);
  if (problem !== null) return misshapen(`resource ${entry.name}`, problem);
  if (value === undefined || (!direct && value.contents.length === 0)) {
    const name = revision.resourceNotFoundCode === -32602 ? 'invalidParams' : 'resourceNotFound';
    return refused(fault(name, `no resource has the URI ${uri}`, { uri }));
  }
  const mimeType = entry.resource?.mimeType;
  let contents: ResourceContents[];
  if (typeof value === 'string') contents = [{ uri, mimeType, text: value } as ResourceContents];
  else if (value instanceof Uint8Array)
    contents = [{ uri, mimeType, blob: Buffer.from(value).toString('base64') } as ResourceContents];
  else contents = value.contents;
  let members = `"contents":${JSON.stringify(contents)}`;
  if (revision.stampedResults) {
    members += `,"ttlMs":${entry.resource?.ttlMs ?? 0},"cacheScope":"${entry.resource?.cacheScope ?? 'private'}"`;
  }
  return done(encoder.response(context.idJson, revision, members, undefined), false);
}

function encodePrompt(encoder: ResultEncoder, context: CallContext, value: PromptReturn): TargetAnswer {
  const { entry, revision } = context;
  const problem = typeof value === 'string' ? null : messagesProblem(value);
  if (problem !== null) return misshapen(`prompt ${entry.name}`, problem);
  let messages: PromptMessage[];
  let members = '';
  if (typeof value === 'string') messages = [{ role: 'user', content: { type: 'text', text: value } }];
  else if (Array.isArray(value)) messages = value;
  else {
    messages = value.messages;
    if (value.description !== undefined) members = `"description":${JSON.stringify(value.description)},`;
  }
  if (!revision.titles) messages = messages.map((m) => ({ role: m.role, content: adaptBlock(m.content, revision) }));
  return done(
    encoder.response(context.idJson, revision, `${members}"messages":${JSON.stringify(messages)}`, undefined),
    false,
  );
}

function encodeCompletion(
  encoder: ResultEncoder,
  context: CallContext,
  value: string[] | JsonObject | undefined,
): TargetAnswer {
  const problem = value === undefined ? null : completionProblem(value);
  if (problem !== null) return misshapen(`the completion of ${context.entry.name}`, problem);
  const all = Array.isArray(value) ? value : ((value?.['values'] as string[] | undefined) ?? []);
  const given = isJsonObject(value) ? value : null;
  const completion = {
    values: all.slice(0, COMPLETION_VALUES_MAX),
    total: given?.['total'] ?? all.length,
    hasMore: given?.['hasMore'] ?? all.length > COMPLETION_VALUES_MAX,
  };
  return done(
    encoder.response(context.idJson, context.revision, `"completion":${JSON.stringify(completion)}`, undefined),
    false,
  );
}
