/**
 * Single requests outside any measurement: sessions are opened, and every server is asked once before it is timed.
 *
 * Role: the check that a variant answers what it should. A server that answers something else, or an error that is
 * cheaper than the work, must not get a figure.
 */
import { type Caller, initialize, initialized, sessionHeaders } from './messages.ts';
import type { WireRequest } from './request.ts';

const REPLY_MS_MAX = 15_000;
const OPEN_AT_ONCE = 16;
const END_MS_MAX = 2000;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON-RPC response, from a JSON body or from the last event of a stream; undefined when there was none. */
  readonly message: unknown;
  readonly text: string;
}

/** `stopped`: who asks does not want the answer any more. */
export async function exchange(url: string, { body, headers }: WireRequest, stopped?: AbortSignal): Promise<Reply> {
  const tooLate = AbortSignal.timeout(REPLY_MS_MAX);
  const signal = stopped === undefined ? tooLate : AbortSignal.any([tooLate, stopped]);
  try {
    // Load clients follow no redirect, so the check must not.
    const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
    const text = await response.text();
    return { status: response.status, headers: response.headers, message: messageIn(text), text };
  } catch (error) {
    throw new Error(`${url} ${reasonOf(error)}`, { cause: error });
  }
}

/** In a JSON body, or in the last event of a stream. */
export function messageIn(text: string): unknown {
  return parse(/^\s*[{[]/.test(text) ? text : lastEvent(text));
}

/** `fetch failed` alone says nothing. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `gave no whole answer within ${REPLY_MS_MAX / 1000} s`;
  return `cannot be reached: ${whatFailed(error)}`;
}

function whatFailed(error: Error): string {
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

function lastEvent(stream: string): string {
  const data = stream.split(/\r?\n/).filter((line) => line.startsWith('data:') && line.length > 6);
  return data.at(-1)?.slice(5) ?? '';
}

function parse(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The `result` of a request; throws with what came instead. */
export async function resultOf(
  url: string,
  request: WireRequest,
  stopped?: AbortSignal,
): Promise<Record<string, unknown>> {
  const reply = await exchange(url, request, stopped);
  const { message } = reply;
  if (reply.status === 200 && typeof message === 'object' && message !== null && 'result' in message) {
    const { id, result } = message as { readonly id?: unknown; readonly result: unknown };
    const { id: asked } = JSON.parse(request.body) as { readonly id?: unknown };
    if (id !== asked) throw new Error(`asked once with id ${asked}, the server answered ${JSON.stringify(id)}`);
    if (typeof result === 'object' && result !== null) return result as Record<string, unknown>;
  }
  const elsewhere = reply.headers.get('location');
  const what = elsewhere === null ? reply.text.slice(0, 300) : `and sent the client to ${elsewhere}`;
  throw new Error(`asked once, the server answered ${reply.status} ${what}`);
}

/** Opens a session and says so; gives the caller that uses it. A server may choose to have no session ids. */
export async function openSession(url: string, caller: Caller, stopped?: AbortSignal): Promise<Caller> {
  const reply = await exchange(url, initialize(caller), stopped);
  if (reply.status !== 200) throw new Error(`initialize was answered ${reply.status} ${reply.text.slice(0, 300)}`);
  const opened = { ...caller, sessionId: reply.headers.get('mcp-session-id') ?? '' };
  await exchange(url, initialized(opened), stopped);
  return opened;
}

/** `count` sessions, a few at a time. */
export async function openSessions(
  url: string,
  caller: Caller,
  count: number,
  stopped?: AbortSignal,
): Promise<Caller[]> {
  const callers: Caller[] = [];
  while (callers.length < count) {
    const group = Math.min(OPEN_AT_ONCE, count - callers.length);
    callers.push(...(await Promise.all(Array.from({ length: group }, () => openSession(url, caller, stopped)))));
  }
  return callers;
}

/**
 * Ends sessions, as a client that goes should. One that the server does not let clients end, or cannot end in time, is the
 * server's to forget.
 */
export async function endSessions(url: string, callers: readonly Caller[]): Promise<void> {
  const signal = AbortSignal.timeout(END_MS_MAX);
  const open = callers.filter(({ sessionId }) => sessionId !== '');
  await Promise.allSettled(
    open.map(async (caller) => {
      const answer = await fetch(url, {
        method: 'DELETE',
        headers: sessionHeaders(caller),
        signal,
        redirect: 'manual',
      });
      await answer.body?.cancel();
    }),
  );
}

/** Asks once and compares the text of the first content block. */
export async function checkText(url: string, request: WireRequest, text: string): Promise<void> {
  const { content } = await resultOf(url, request);
  const first: unknown = Array.isArray(content) ? content[0] : undefined;
  const found = typeof first === 'object' && first !== null && 'text' in first ? first.text : undefined;
  if (found !== text) throw new Error(`asked once, the server answered ${JSON.stringify(content)}, not ${text}`);
}
