/**
 * Joins the parts of the protocol: methods, tasks, subscriptions, sessions, and the two ways in (HTTP and messages).
 */
import { randomBytes } from 'node:crypto';
import type { CatalogueHolder } from '../catalogue/entry.ts';
import { serverMetaJson } from '../catalogue/server-facts.ts';
import type { Settings } from '../config/settings.ts';
import type { Dispatcher } from '../dispatch/job.ts';
import type { RequestHead, UpgradeRefusal } from '../frontend/port.ts';
import type { Log, Meters } from '../observe/port.ts';
import type { Authenticator } from '../protocol/authenticator.ts';
import { HttpEndpoint } from '../protocol/http-endpoint.ts';
import { createMethods } from '../protocol/methods/method-table.ts';
import { HttpSessions } from '../protocol/session/endpoint.ts';
import { type Admitted, MessageConnections } from '../protocol/session/message-handler.ts';
import { SessionHub } from '../protocol/session/session-hub.ts';
import { Listen } from '../subscriptions/listen.ts';
import { TaskManager } from '../tasks/manager.ts';
import type { Tasks } from '../tasks/port.ts';
import { openGuards } from './call-guards.ts';
import type { SharedState } from './shared-port.ts';

export interface ProtocolOptions {
  readonly settings: Settings;
  readonly catalogue: CatalogueHolder;
  readonly dispatcher: Dispatcher;
  readonly shared: SharedState;
  /** Null: authentication is off. */
  readonly authenticator: Authenticator | null;
  readonly log: Log;
  readonly meters: Meters;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Whether a tool that is in no catalogue here is run by no other node either. */
  readonly knowsAllTools: () => boolean;
}

export interface Protocol {
  readonly hub: SessionHub;
  /** Sessions of WebSocket and stdio; the same one where no other node serves those over HTTP. */
  readonly connectionHub: SessionHub;
  readonly listen: Listen;
  readonly tasks: Tasks;
  /** The `/mcp` endpoint. */
  readonly mcp: HttpEndpoint;
  /** WebSocket and stdio. */
  readonly connections: MessageConnections;
  /** Ends expired sessions and tasks. */
  sweep(): void;
  /** What is kept of a tool's results is out of date. */
  forgetResults(tool: string): void;
  /** Ends every listening stream cleanly; requests in flight go on. */
  endStreams(): void;
  /** After the last request: what was not stored yet is, if it can be. */
  close(): Promise<void>;
}

export function assembleProtocol(options: ProtocolOptions): Protocol {
  const { authenticator, catalogue, dispatcher, log, meters, now, settings, shared } = options;
  const { bus, connectionSessions, events, relay, sessions: store } = shared;
  const metaJson = serverMetaJson(settings.server);
  const tasks = new TaskManager({
    store: shared.tasks,
    bus,
    dispatcher: () => dispatcher,
    catalogue,
    settings: settings.tasks,
    log,
    metaJson,
    now: Date.now,
    monotonicMs: now,
    randomId: () => randomBytes(20).toString('base64url'),
  });
  const listen = new Listen({ bus, tasks, settings, metaJson, log, meters });
  const guards = openGuards({ settings, shared, catalogue, meters, log, now });
  const methods = createMethods({ ...options, tasks, listen, guards });
  const limits = { ...settings.sessions, streamKeepAliveMs: settings.streamKeepAliveMs };
  const hubOptions = { bus, dispatcher, limits, log, meters, nowMs: now };
  const hub = new SessionHub({ ...hubOptions, store, events, relay });
  const connectionHub = relay === null ? hub : new SessionHub({ ...hubOptions, ...connectionSessions });
  const sessions = new HttpSessions({ hub, methods, catalogue });
  const { keepAlive } = hub;
  return {
    hub,
    connectionHub,
    listen,
    tasks,
    mcp: new HttpEndpoint({ methods, catalogue, sessions, authenticator, keepAlive, settings, log, meters }),
    connections: new MessageConnections({
      hub: connectionHub,
      methods,
      catalogue,
      admit: (head) => admit(authenticator, head),
    }),
    sweep() {
      store.sweep(now());
      if (connectionHub !== hub) connectionHub.store.sweep(now());
      tasks.sweep(now());
    },
    forgetResults: (tool) => guards.forget(tool),
    endStreams() {
      listen.closeAll('the server is shutting down');
      hub.endListening();
      if (connectionHub !== hub) connectionHub.endListening();
    },
    async close() {
      hub.close();
      if (connectionHub !== hub) connectionHub.close();
      guards.close();
      await tasks.close();
    },
  };
}

function admit(authenticator: Authenticator | null, head: RequestHead): UpgradeRefusal | Admitted {
  // Stdio has no headers and belongs to whoever started the process.
  if (authenticator === null || head.path === '') return { principal: null };
  const verdict = authenticator.authenticate(head.header('authorization'));
  if (verdict instanceof Promise) return { principal: verdict };
  if (!('wwwAuthenticate' in verdict)) return { principal: verdict };
  const { message, status, wwwAuthenticate } = verdict;
  return { status, message, headers: [['WWW-Authenticate', wwwAuthenticate]] };
}
