/**
 * What the methods work with, and the shape of one.
 *
 * Role: the dependencies of the method table in one record, handed to every handler, so that handlers are plain
 * functions in a map and a request makes no closure.
 */
import type { CatalogueHolder } from '../../catalogue/entry.ts';
import type { Settings } from '../../config/settings.ts';
import type { Dispatcher } from '../../dispatch/job.ts';
import type { Log, Meters } from '../../observe/port.ts';
import type { ListenPort } from '../../subscriptions/listen-port.ts';
import type { Tasks } from '../../tasks/port.ts';
import type { Caller, CallRun, Channel, OpenRequest, RequestEnvelope } from '../channel.ts';
import type { FramedResults } from './framed-results.ts';
import type { CallGuards } from './guarded-calls.ts';

export interface MethodsOptions {
  readonly catalogue: CatalogueHolder;
  readonly dispatcher: Dispatcher;
  readonly tasks: Tasks;
  readonly listen: ListenPort;
  readonly log: Log;
  readonly meters: Meters;
  readonly settings: Settings;
  readonly guards: CallGuards;
  /** False: other nodes may run tools that this one has not heard of. */
  readonly knowsAllTools: () => boolean;
}

export interface MethodDeps extends MethodsOptions {
  readonly frames: FramedResults;
  /** `_meta` of results of 2026-07-28, as JSON. */
  readonly metaJson: string;
  /** A call of a tool behind its guards. */
  readonly runTool: CallRun;
}

/** Answers through `channel`, now or later; null when it was answered already. */
export type MethodHandler = (
  deps: MethodDeps,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
) => OpenRequest | null;
