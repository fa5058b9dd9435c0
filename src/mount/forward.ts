/**
 * Forwards one call to the mounted SDK server and waits for its result, as the server gave it.
 *
 * Progress is asked for when the caller asked for it; cancellation and deadline reach the server as
 * `notifications/cancelled`; `_meta` goes along with the trace context; errors come back as `ProtocolError` with the
 * server's code, or as what the context threw when it broke the call off.
 */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { McpError, type Request, ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { type HandlerContext, ProtocolError } from '../catalogue/define.ts';
import type { CallLink } from './call-link.ts';
import { ServedCall } from './served-call.ts';

export type ServerResult = Record<string, unknown>;

/** The call's own deadline ends it; the SDK's timer must not come first. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;
/** McpError puts this before its message, once on each side of the link. */
const MESSAGE_PREFIX = /^(?:MCP error -?\d+: )+/;

export interface Forwarding {
  readonly client: Client;
  readonly link: CallLink;
}

/** `asTask`: the server insists on running it as a task of its own; its result is waited for. */
export async function forward(
  { client, link }: Forwarding,
  context: HandlerContext,
  method: string,
  params: Record<string, unknown>,
  asTask = false,
): Promise<ServerResult> {
  const call = new ServedCall(context);
  const cancelled = context.signal;
  const cancel = (): void => call.unwind(cancelled.reason);
  if (cancelled.aborted) cancel();
  else cancelled.addEventListener('abort', cancel, { once: true });
  const request: Request = { method, params: { ...params, _meta: metaOf(context) } };
  try {
    call.signal.throwIfAborted();
    const result = await link.serve(call, () =>
      asTask ? runAsTask(client, call, request) : send(client, call, request),
    );
    if (result['isError'] === true && call.missing !== null) throw call.missing;
    return result;
  } catch (error) {
    throw call.unwound ?? call.missing ?? protocolErrorOf(error);
  } finally {
    cancelled.removeEventListener('abort', cancel);
  }
}

/** What a request gets that belongs to no call (completion has no context). */
export async function forwardBare({ client }: Forwarding, method: string, params: ServerResult): Promise<ServerResult> {
  try {
    return await client.request({ method, params }, ResultSchema, { timeout: NO_TIMEOUT_MS });
  } catch (error) {
    throw protocolErrorOf(error);
  }
}

function optionsOf(call: ServedCall) {
  const { context, signal } = call;
  if (context.meta['progressToken'] === undefined) return { signal, timeout: NO_TIMEOUT_MS };
  return {
    signal,
    timeout: NO_TIMEOUT_MS,
    onprogress: (report: { progress: number; total?: number | undefined; message?: string | undefined }) =>
      context.progress(report.progress, report.total, report.message),
  };
}

function send(client: Client, call: ServedCall, request: Request): Promise<ServerResult> {
  return client.request(request, ResultSchema, optionsOf(call));
}

async function runAsTask(client: Client, call: ServedCall, request: Request): Promise<ServerResult> {
  for await (const message of client.experimental.tasks.requestStream(request, ResultSchema, {
    ...optionsOf(call),
    task: {},
  })) {
    if (message.type === 'result') return message.result;
    if (message.type === 'error') throw message.error;
  }
  throw new ProtocolError(-32603, 'the mounted server ended a task without a result');
}

/** The progress token is the link's own; the trace context may have come in headers. */
function metaOf(context: HandlerContext): Record<string, unknown> {
  const { progressToken, ...meta } = context.meta;
  for (const [name, value] of Object.entries(context.trace)) if (value !== '') meta[name] = value;
  return meta;
}

function protocolErrorOf(error: unknown): unknown {
  if (!(error instanceof McpError)) return error;
  return new ProtocolError(error.code, error.message.replace(MESSAGE_PREFIX, ''), error.data);
}
