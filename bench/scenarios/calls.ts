/**
 * The load groups most scenarios are made of: one tool called over and over, statelessly or in sessions.
 *
 * Role: each asks the server once and compares the answer before it hands out the load.
 */
import { closedLoop, type LoadGroup } from '../load/job.ts';
import { checkText, openSessions } from '../wire/exchange.ts';
import { type Caller, LEGACY_CALLER, MODERN_CALLER, toolCall } from '../wire/messages.ts';

export const ECHO_TEXT = 'the quick brown fox jumps over the lazy dog';
const ECHO_ARGS = { text: ECHO_TEXT };

/**
 * Requests per session: clients that take any request for any connection must not have two of one session with the same
 * id on their way.
 */
const IDS_PER_SESSION = 8;

export const modernEcho = (tool = 'echo') => toolCall(MODERN_CALLER, tool, ECHO_ARGS, 1);

/** Stateless calls of a tool that answers with the text it was given. */
export async function echoCalls(
  url: string,
  connections: number,
  caller: Caller = MODERN_CALLER,
  tool = 'echo',
): Promise<LoadGroup> {
  const request = toolCall(caller, tool, ECHO_ARGS, 1);
  await checkText(url, request, ECHO_TEXT);
  return closedLoop('echo', [request], connections, ECHO_TEXT);
}

/** A session per connection, opened before the load. */
export async function sessionEchoCalls(url: string, connections: number): Promise<LoadGroup> {
  const callers = await openSessions(url, LEGACY_CALLER, connections);
  const requests = Array.from({ length: connections * IDS_PER_SESSION }, (_, i) => {
    return toolCall(callers[i % connections] as Caller, 'echo', ECHO_ARGS, i + 1);
  });
  const [first] = requests;
  if (first !== undefined) await checkText(url, first, ECHO_TEXT);
  return closedLoop('echo', requests, connections, ECHO_TEXT);
}

export const atRate = (group: LoadGroup, ratePerSecond: number): LoadGroup => ({ ...group, ratePerSecond });
