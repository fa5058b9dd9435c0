/**
 * Which answers are good: one rule for all clients, or the same server would fail with one and be well with another.
 *
 * Role: what a body is asked for beside its status. Scenarios know the text of the right answer, which no error has.
 * Somebody else's tool has no such text: there an answer is good that is a JSON-RPC result and no tool error. Bodies are
 * parsed only when they speak of an error, since that costs more than the rest of the client.
 */
import { messageIn } from '../wire/exchange.ts';
import type { LoadGroup } from './job.ts';

const RESULT = Buffer.from('"result"');
const SAYS_ERROR = /"isError"\s*:\s*true/;
const IS_ERROR = Buffer.from('"isError"');

export function goodBody({
  contains,
  readsResults,
}: Pick<LoadGroup, 'contains' | 'readsResults'>): (body: Buffer) => boolean {
  const text = Buffer.from(contains);
  return (body) => (text.length === 0 || body.includes(text)) && (!readsResults || isResult(body));
}

function isResult(body: Buffer): boolean {
  if (!body.includes(RESULT)) return false;
  return !body.includes(IS_ERROR) || !isToolError(body.toString());
}

/** The text may speak of an error anywhere: structured results are the tool's own. */
function isToolError(text: string): boolean {
  if (!SAYS_ERROR.test(text)) return false;
  const message = messageIn(text) as { readonly result?: { readonly isError?: unknown } } | null | undefined;
  return message?.result?.isError === true;
}
