/**
 * The endpoint with everything behind it played by fakes, and requests to send to it.
 */
import type { Principal } from '../../src/catalogue/define.ts';
import type { HttpCall } from '../../src/frontend/port.ts';
import type { AuthRefusal } from '../../src/protocol/authenticator.ts';
import { HttpEndpoint } from '../../src/protocol/http-endpoint.ts';
import { KeepAlive } from '../../src/protocol/session/keep-alive.ts';
import type { SessionEndpoint, SessionFacts } from '../../src/protocol/session-endpoint.ts';
import { entry, FakeReply, fakeHead, META, methodsWith, request, SETTINGS } from './fakes.ts';

const ENTRIES = [
  entry('tool', 'echo'),
  entry('tool', 'café'),
  entry('tool', 'job', { task: 'optional' }),
  entry('tool', 'routed', { paramHeaders: [{ header: 'mcp-param-region', path: ['region'] }] }),
  entry('prompt', 'greet'),
  entry('resource', 'file:///a'),
  entry('template', 't://{id}'),
];
export const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
export const MODERN = { ...JSON_HEADERS, 'mcp-protocol-version': '2026-07-28' };
export const CALL = { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'echo' };
export const call = (name: string, rest: object = {}): Buffer => request('tools/call', { name, _meta: META, ...rest });

class FakeSessions implements SessionEndpoint {
  readonly seen: string[] = [];
  facts: SessionFacts | null = null;
  aborts = 0;
  /** Whether GET and DELETE are answered at once. */
  answers = false;
  post(facts: SessionFacts, envelope: { kind: string; method: string; idJson: string }) {
    this.facts = facts;
    this.seen.push(`${envelope.kind} ${envelope.method} ${envelope.idJson}`);
    return { aborted: () => void this.aborts++ };
  }
  get(facts: SessionFacts) {
    return this.#bodiless(facts, 'GET');
  }
  delete(facts: SessionFacts) {
    return this.#bodiless(facts, 'DELETE');
  }
  #bodiless(facts: SessionFacts, method: string) {
    this.facts = facts;
    this.seen.push(method);
    return this.answers ? null : { aborted: () => void this.aborts++ };
  }
}

export type Verdict = Principal | AuthRefusal;
export function setUp(authenticate: ((header: string) => Verdict | Promise<Verdict>) | null = null) {
  const table = methodsWith(ENTRIES);
  const sessions = new FakeSessions();
  let beat: () => void = () => undefined;
  const keepAlive = new KeepAlive(16, (_ms, tick) => {
    beat = tick;
    return () => undefined;
  });
  const endpoint = new HttpEndpoint({
    ...table,
    sessions,
    authenticator: authenticate === null ? null : { authenticate },
    keepAlive,
    settings: SETTINGS,
  });
  const send = (method: string, headers: Record<string, string>, body?: Uint8Array) => {
    const reply = new FakeReply();
    const taken: HttpCall | null = endpoint.head(fakeHead(method, headers), reply);
    if (body !== undefined) taken?.body(body, true);
    return { reply, taken };
  };
  return { ...table, sessions, endpoint, send, beats: (n: number) => Array.from({ length: n }, () => beat()) };
}
