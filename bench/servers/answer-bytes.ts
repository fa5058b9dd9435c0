/**
 * The bytes millrace answers a request with, for the controls that send bytes without thinking.
 *
 * Role: "the same payload" is taken literally: a server is started, asked once, and ended. Asked for the same request
 * again, the answer is remembered.
 */
import { exchange } from '../wire/exchange.ts';
import type { WireRequest } from '../wire/request.ts';
import { millrace } from './commands.ts';
import { startServer } from './server-process.ts';

const known = new Map<string, Promise<string>>();

export function answerBytes(request: WireRequest, ...flags: readonly string[]): Promise<string> {
  const key = JSON.stringify([request.body, flags]);
  const earlier = known.get(key);
  if (earlier !== undefined) return earlier;
  const answer = ask(request, flags);
  known.set(key, answer);
  return answer;
}

async function ask(request: WireRequest, flags: readonly string[]): Promise<string> {
  const server = await startServer(millrace('--workers', '1', ...flags));
  try {
    const reply = await exchange(server.url, request);
    if (reply.status !== 200) throw new Error(`millrace answered ${reply.status} ${reply.text.slice(0, 300)}`);
    return reply.text;
  } finally {
    await server.end();
  }
}
