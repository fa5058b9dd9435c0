/**
 * What a load client is told to do, and what it gives back: plain data, since it crosses a process boundary.
 *
 * Role: the port all clients share. A load is one or more groups that run at the same time and are counted apart, so
 * that cheap calls can be watched beside expensive ones.
 */
import type { WireRequest } from '../wire/request.ts';

export interface LoadGroup {
  readonly name: string;
  readonly transport: 'http' | 'websocket';
  readonly connections: number;
  /** Connection i sends request i modulo their number, always the same. */
  readonly requests: readonly WireRequest[];
  /** 0: closed loop, the next request leaves when the answer is there. Else open loop: so many per second, evenly. */
  readonly ratePerSecond: number;
  /** Text every good answer has in its body. Empty: the status alone counts. */
  readonly contains: string;
  /** A good answer is a JSON-RPC result as well, and no tool error. For servers whose right answer nobody knows. */
  readonly readsResults: boolean;
  /** Sends each request in pieces of this many bytes, one per `pieceMs`. 0: whole. */
  readonly pieceBytes: number;
  readonly pieceMs: number;
  /** Closed loop: how long a connection waits between an answer and its next request. */
  readonly thinkMs: number;
  /**
   * How open loops keep time. `exact`: by polling, which takes a core. `coarse`: by timers of a millisecond, a few
   * requests at a time, where the server needs the core more than the latencies need the precision.
   */
  readonly pacing: 'exact' | 'coarse';
}

export interface LoadJob {
  readonly url: string;
  readonly groups: readonly LoadGroup[];
  readonly warmupMs: number;
  readonly durationMs: number;
}

/** A stretch of the measured time. */
export interface Interval {
  /** Since measuring began, at its end. */
  readonly atMs: number;
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface GroupReport {
  readonly name: string;
  /** Status 2xx with the expected text, and a result where those are read. */
  readonly good: number;
  /** 503 and 429: refused, which is not failed. */
  readonly refused: number;
  /** Any other answer. */
  readonly wrong: number;
  /** Requests lost with their connection or never answered, and connections that could not be made. */
  readonly broken: number;
  /** Open loop: requests that were due while every connection waited for an answer, and so never left. */
  readonly unsent: number;
  /** First wrong answer or error, for the reader. */
  readonly firstProblem: string;
  /** Histogram of good answers, encoded; empty when the client only has percentiles. */
  readonly histogram: string;
  readonly refusals: string;
  /** At the percentiles of the curve; of good answers, corrected for coordinated omission, which `histogram` is not. */
  readonly curveUs: readonly number[];
  /** Open loop: P99 of how late requests left, which the latencies include. NaN for closed loops. */
  readonly lateP99Us: number;
  readonly intervals: readonly Interval[];
}

export interface LoadReport {
  readonly elapsedMs: number;
  readonly groups: readonly GroupReport[];
}

/** A run that is stopped in its warm-up has nothing to report. */
export const STOPPED_EARLY = 'stopped before anything was measured';

export const CLIENTS = ['auto', 'wrk', 'autocannon', 'own'] as const;
export type ClientName = (typeof CLIENTS)[number];

/** Users that each go through the same steps again and again, every step in a session of its own. */
export interface IterationJob {
  readonly url: string;
  readonly users: number;
  /** User i sends what stands at i modulo their number. */
  readonly visits: readonly (readonly SessionStep[])[];
  /** Answered with the session's id, if the server has sessions. */
  readonly initialize: WireRequest;
  /** Closed loop: between two visits of a user. */
  readonly pauseMs: number;
  /** 0: closed loop. Else visits per second, by whichever user is free. */
  readonly visitsPerSecond: number;
  readonly warmupMs: number;
  readonly durationMs: number;
}

export interface SessionStep {
  readonly request: WireRequest;
  readonly contains: string;
}

/** From and to the process that makes the load. */
export type ToClient =
  | { readonly do: 'load'; readonly job: LoadJob; readonly client: 'own' | 'autocannon' }
  | { readonly do: 'iterate'; readonly job: IterationJob }
  | { readonly do: 'stop' };
export type FromClient =
  | { readonly is: 'measuring' }
  | { readonly is: 'done'; readonly report: LoadReport }
  | { readonly is: 'failed'; readonly reason: string };

/** A group that sends one kind of request over HTTP as fast as answers come. */
export function closedLoop(
  name: string,
  requests: readonly WireRequest[],
  connections: number,
  contains: string,
): LoadGroup {
  return {
    name,
    transport: 'http',
    connections,
    requests,
    ratePerSecond: 0,
    contains,
    readsResults: false,
    pieceBytes: 0,
    pieceMs: 0,
    thinkMs: 0,
    pacing: 'exact',
  };
}
