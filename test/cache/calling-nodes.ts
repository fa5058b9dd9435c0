/**
 * Nodes that call one tool through `CachedCalls`, and its executions in the hands of a test, whichever node makes them.
 */
import { CachedCalls } from '../../src/cache/cached-calls.ts';
import type { ResultCache } from '../../src/cache/port.ts';
import { FLIGHT_LEASE_MS, RedisResultCache } from '../../src/cache/redis-cache.ts';
import type { Entry } from '../../src/catalogue/entry.ts';
import type { Caller, Channel, OpenRequest, RequestEnvelope } from '../../src/protocol/channel.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import type { RedisSubscriber } from '../../src/redis/subscriber.ts';
import { callerOf, entry, envelopeOf, FakeChannel } from '../protocol/fakes.ts';
import { QUIET } from '../redis/redis-server.ts';
import { until } from '../redis/shared-redis.ts';

export const BOUNDS = { resultsMax: 100, bytesMax: 1_000_000, leaseMs: FLIGHT_LEASE_MS };
export const TOOL = 'slow';

export class Execution {
  readonly node: CallingNode;
  /** Whose call it is; `''`: nobody's. */
  readonly principal: string;
  /** Of the caller's time, spent before. */
  readonly waitedMs: number;
  cancelled = false;
  readonly #channel: Channel;
  readonly #idJson: string;

  constructor(node: CallingNode, caller: Caller, envelope: RequestEnvelope, channel: Channel, waitedMs: number) {
    this.node = node;
    this.principal = caller.principal?.id ?? '';
    this.waitedMs = waitedMs;
    this.#channel = channel;
    this.#idJson = envelope.idJson;
  }

  succeed(text: string): void {
    this.#end({ content: [{ type: 'text', text }] });
  }

  fail(): void {
    this.#end({ content: [{ type: 'text', text: 'failed' }], isError: true });
  }

  /** An answer that is its caller's alone. */
  ask(): void {
    this.#end({ resultType: 'input_required', inputRequests: {} });
  }

  #end(result: object): void {
    this.#channel.respond(200, `{"jsonrpc":"2.0","id":${this.#idJson},"result":${JSON.stringify(result)}}`, 0);
  }
}

/** Of all nodes, in the order in which they began. */
export class Executions {
  readonly all: Execution[] = [];

  /** The one with this number, counted from 1, once it has begun; it is the last one so far. */
  async begun(number: number): Promise<Execution> {
    await until(`execution ${number}`, () => this.all.length >= number);
    if (this.all.length > number) throw new Error(`${this.all.length} executions instead of ${number}`);
    return this.all[number - 1] as Execution;
  }
}

export class CallInHand {
  readonly #channel: FakeChannel;
  readonly #open: OpenRequest | null;
  readonly #idJson: string;

  constructor(channel: FakeChannel, open: OpenRequest | null, idJson: string) {
    this.#channel = channel;
    this.#open = open;
    this.#idJson = idJson;
  }

  get isAnswered(): boolean {
    return this.#channel.answers > 0;
  }

  /** `result …`, `error …`, `asked` or `timeout`, under its own id. */
  get answer(): Promise<string> {
    return until('an answer', () => (this.isAnswered ? this.#shown() : undefined));
  }

  leave(): void {
    this.#open?.cancel('left');
  }

  #shown(): string {
    const { answers, text } = this.#channel;
    const { error, id, result } = JSON.parse(text);
    if (answers !== 1 || String(id) !== this.#idJson) return `${answers} answers, the last to call ${id}`;
    if (error !== undefined) return /did not finish within/.test(error.message) ? 'timeout' : `error ${error.message}`;
    if (result.resultType === 'input_required') return 'asked';
    return `${result.isError === true ? 'error' : 'result'} ${result.content[0].text}`;
  }
}

export interface CallWish {
  readonly n?: number;
  readonly principal?: string;
}

export class CallingNode {
  readonly results: ResultCache;
  readonly calls: CachedCalls;
  readonly #executions: Executions;
  readonly #entry: Entry;
  #id = 0;

  constructor(results: ResultCache, executions: Executions, rest: Partial<Entry> = {}) {
    this.results = results;
    this.#executions = executions;
    this.#entry = entry('tool', TOOL, { cacheTtlMs: 60_000, cacheScope: 'public', timeoutMs: 60_000, ...rest });
    const log = { error: (_fields: object, message: string) => bug(message) };
    const now = (): number => performance.now();
    const answered = (): void => undefined;
    this.calls = new CachedCalls({ results, version: '1', enabled: true, timeoutMs: 60_000, answered, now, log });
  }

  call({ n = 1, principal = '' }: CallWish = {}): CallInHand {
    const params = { name: TOOL, arguments: { n } };
    this.#id += 1;
    const envelope = envelopeOf('tools/call', params, { idJson: String(this.#id) });
    const caller = callerOf(REVISION_2026_07_28, {
      principal: principal === '' ? null : { id: principal, scopes: [] },
    });
    const channel = new FakeChannel();
    const open = this.calls.call(this.#entry, caller, envelope, params, channel, (_entry, who, made, out, waitedMs) => {
      const execution = new Execution(this, who, made, out, waitedMs);
      this.#executions.all.push(execution);
      return {
        cancel: () => {
          execution.cancelled = true;
        },
      };
    });
    return new CallInHand(channel, open, envelope.idJson);
  }
}

/** Calls that wait, of nodes that may be the same one. */
export function waitingOn(nodes: readonly CallingNode[]): number {
  let waiting = 0;
  for (const node of new Set(nodes)) waiting += node.calls.waiting;
  return waiting;
}

export function redisCache(
  clients: { readonly commands: RedisConnection; readonly subscriber: RedisSubscriber },
  prefix: string,
  leaseMs = FLIGHT_LEASE_MS,
): RedisResultCache {
  const { commands, subscriber } = clients;
  return new RedisResultCache({
    commands,
    subscriber,
    ...BOUNDS,
    leaseMs,
    prefix,
    now: () => performance.now(),
    log: QUIET,
  });
}

function bug(message: string): never {
  throw new Error(message);
}
