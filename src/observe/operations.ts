/**
 * The endpoints for operators: `/health/live`, `/health/ready`, `/metrics`, `/cluster`. GET and HEAD only.
 *
 * Role: answered on the front-end thread from what is known locally, never through admission or the pool, so they
 * answer while the pool is saturated. Liveness says only that the event loop turns; readiness is what a balancer
 * should look at. Nothing here tells a client more than numbers, names and states.
 */
import type { HeaderPairs, HttpCall, Reply, RequestHead } from '../frontend/port.ts';
import { JSON_TYPE, refuseMethod } from '../frontend/refusal.ts';
import type { Endpoint } from '../frontend/router.ts';
import type { Health, Log, Meters } from './port.ts';

/** One node as `/cluster` shows it. */
export interface NodeReport {
  readonly id: string;
  readonly status: Health['status'];
  /** `http://host:port/mcp`, or `''` before it listens. */
  readonly url: string;
  /** Calls in flight and waiting. */
  readonly load: number;
  readonly maxLoad: number;
  /** Names of the tools served. */
  readonly tools: readonly string[];
  readonly version: string;
  /** Its front end stands still. */
  readonly busy: boolean;
  /** Of this start: rises with every start of the node. */
  readonly epoch: number;
  readonly heartbeatAgeMs: number;
}

export interface OperationsSources {
  readonly health: () => Health;
  readonly meters: Pick<Meters, 'render'>;
  /** This one, and all others that are alive as far as is known. */
  readonly nodes: () => readonly NodeReport[];
  /** What is odd about them, a line each. */
  readonly warnings: () => readonly string[];
  readonly log: Pick<Log, 'error'>;
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const FRESH: HeaderPairs = [['Cache-Control', 'no-store']];
const ALLOW = 'GET, HEAD';

type Answer = (reply: Reply) => HttpCall | null;

/** Handlers by exact path. */
export function operationsEndpoints(sources: OperationsSources): ReadonlyMap<string, Endpoint> {
  const metrics = new MetricsAnswer(sources);
  return new Map([
    ['/health/live', endpoint((reply) => sendJson(reply, 200, { status: 'live' }))],
    ['/health/ready', endpoint((reply) => answerReady(sources.health(), reply))],
    ['/metrics', endpoint((reply) => metrics.answer(reply))],
    ['/cluster', endpoint((reply) => answerCluster(sources, reply))],
  ]);
}

function endpoint(answer: Answer): Endpoint {
  return {
    head(head: RequestHead, reply: Reply): HttpCall | null {
      // The front end leaves the body of an answer to HEAD out and tells its length, which must be that of GET.
      if (head.method === 'GET' || head.method === 'HEAD') return answer(reply);
      refuseMethod(reply, ALLOW);
      return null;
    },
  };
}

function answerReady(health: Health, reply: Reply): null {
  return sendJson(reply, health.status === 'running' ? 200 : 503, health);
}

function answerCluster(sources: OperationsSources, reply: Reply): null {
  return sendJson(reply, 200, { nodes: sources.nodes(), warnings: sources.warnings() });
}

function sendJson(reply: Reply, status: number, value: object): null {
  reply.send(status, JSON_TYPE, JSON.stringify(value), FRESH);
  return null;
}

/** Scrapes that come together share one rendering. */
class MetricsAnswer {
  readonly #sources: OperationsSources;
  #rendering: Promise<string> | null = null;

  constructor(sources: OperationsSources) {
    this.#sources = sources;
  }

  answer(reply: Reply): HttpCall {
    return {
      bodyBytesMax: 0,
      body: () => void this.#send(reply),
      aborted: () => undefined,
    };
  }

  async #send(reply: Reply): Promise<void> {
    try {
      this.#rendering ??= this.#sources.meters.render();
      const text = await this.#rendering;
      reply.send(200, METRICS_TYPE, text, FRESH);
    } catch (error) {
      this.#sources.log.error({ error }, 'metrics could not be rendered');
      reply.send(500, '', '', FRESH);
    } finally {
      this.#rendering = null;
    }
  }
}
