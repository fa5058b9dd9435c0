/**
 * Which answers are good: one rule for all clients, or the same server would fail with one and be well with another.
 *
 * Role: what a body is asked for beside its status. Scenarios know the text of the right answer, which no error has.
 * Somebody else's tool has no such text: there an answer is good that is the JSON-RPC result of a request of the load,
 * whole, and no tool error. To parse a large body costs more than the rest of the client, so one that has been found good
 * before is only compared.
 */
import { messageIn } from '../wire/exchange.ts';
import type { LoadGroup } from './job.ts';

interface Answer {
  readonly id?: unknown;
  readonly result?: { readonly isError?: unknown } | null;
  readonly error?: unknown;
}

/** Below it a body is parsed faster than it is found among the known. */
const LARGE_BYTES = 1024;
/** One for each request of the load, unless answers differ each time. */
const KNOWN_MAX = 64;

export function goodBody({
  contains,
  readsResults,
  requests,
}: Pick<LoadGroup, 'contains' | 'readsResults' | 'requests'>): (body: Buffer) => boolean {
  const text = Buffer.from(contains);
  const isResult = readsResults ? resultReader(requests) : () => true;
  return (body) => (text.length === 0 || body.includes(text)) && isResult(body);
}

/** Whether a body is the result of one of the requests. */
function resultReader(requests: LoadGroup['requests']): (body: Buffer) => boolean {
  const ids = new Set(requests.map((request) => (JSON.parse(request.body) as { readonly id?: unknown }).id));
  const known: Buffer[] = [];
  return (body) => {
    if (body.length < LARGE_BYTES) return isResult(messageIn(body.toString()), ids);
    if (known.some((one) => one.equals(body))) return true;
    if (!isResult(messageIn(body.toString()), ids)) return false;
    if (known.length < KNOWN_MAX) known.push(Buffer.from(body));
    return true;
  };
}

function isResult(message: unknown, ids: ReadonlySet<unknown>): boolean {
  if (typeof message !== 'object' || message === null) return false;
  const { error = null, id, result = null } = message as Answer;
  return error === null && typeof result === 'object' && result !== null && result.isError !== true && ids.has(id);
}
