/**
 * This node among others: which tools it runs itself, the catalogue of all nodes, calls from and to other nodes.
 *
 * Role: joins the parts of `src/cluster` that calls go through. A node that is alone has none of it, and does not load it:
 * every tool runs here, and the engine's dispatcher stands alone.
 */
import type { SourcedDefinition } from '../catalogue/entries.ts';
import type { CatalogueHolder } from '../catalogue/entry.ts';
import { ClusterCatalogue } from '../cluster/catalogue/cluster-catalogue.ts';
import { ToolBoard } from '../cluster/catalogue/tool-board.ts';
import { ForwardingDispatcher } from '../cluster/forwarding/forwarding-dispatcher.ts';
import { NodeChoice } from '../cluster/forwarding/node-choice.ts';
import { RemoteCalls } from '../cluster/forwarding/remote-calls.ts';
import { ServedCalls } from '../cluster/forwarding/served-calls.ts';
import type { HttpPeers } from '../cluster/peers/http-peers.ts';
import type { Membership } from '../cluster/port.ts';
import type { Settings } from '../config/settings.ts';
import type { Dispatcher } from '../dispatch/job.ts';
import type { Log, Meters } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { atMost } from '../waiting.ts';

/** Heartbeats after which the listing of a silent node is gone from Redis, as the node itself is. */
const TTL_BEATS = 3;
/** How long a node that listens waits, before it is ready, for what the others run. */
const FIRST_LOOK_MS_MAX = 2_000;

/** What this node brings along. */
export interface ClusterParts {
  readonly catalogue: CatalogueHolder;
  /** This node's own. */
  readonly dispatcher: Dispatcher;
  /** Calls in flight and waiting. */
  readonly load: () => number;
  /** Takes the tools that other nodes run. */
  readonly learn: (definitions: readonly SourcedDefinition[]) => void;
  readonly meters: Meters;
  readonly now: () => number;
}

export interface ClusterOptions extends ClusterParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly membership: Membership;
  readonly peers: HttpPeers;
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  /** Called when messages of other nodes may have been missed. */
  readonly onGap: Set<() => void>;
}

export class ClusterNode {
  readonly dispatcher: Dispatcher;
  readonly #options: ClusterOptions;
  readonly #catalogue: ClusterCatalogue;
  readonly #remote: RemoteCalls;
  readonly #served: ServedCalls;
  readonly #unsubscribe: () => void;

  constructor(options: ClusterOptions) {
    const { commands, log, membership, now, onGap, peers, settings, subscriber } = options;
    const { heartbeatMs } = settings;
    const { prefix, forwardedMax, forwardMsMax } = settings.cluster;
    this.#options = options;
    const choice = new NodeChoice({
      membership,
      offers: (nodeId, tool) => this.#catalogue.offers(nodeId, tool),
      now,
      random: Math.random,
    });
    this.#catalogue = new ClusterCatalogue({
      board: new ToolBoard(commands, subscriber.publishCommand, prefix, TTL_BEATS * heartbeatMs),
      membership,
      heartbeatMs,
      subscribe: (channel, listener) => subscriber.on(channel, listener),
      looked: () => choice.changed(),
      learn: options.learn,
      log,
      now,
    });
    const stopWatching = membership.onChange(() => choice.changed());
    const missed = (): void => void this.#catalogue.look();
    onGap.add(missed);
    this.#unsubscribe = () => {
      stopWatching();
      onGap.delete(missed);
    };
    this.#remote = new RemoteCalls({ peers, choice, forwardedMax, forwardMsMax, log, now });
    this.dispatcher = new ForwardingDispatcher(options.dispatcher, this.#remote);
    const { catalogue, dispatcher, load } = options;
    this.#served = new ServedCalls({ peers, catalogue, dispatcher, load });
    this.#registerGauges(choice);
  }

  #registerGauges(choice: NodeChoice): void {
    const { meters } = this.#options;
    const remote = this.#remote;
    meters.gauge('millrace_forwarded_calls', 'Calls that other nodes run for this one.', () => remote.size);
    meters.gauge('millrace_served_calls', 'Calls that this node runs for others.', () => this.#served.size);
    for (const [name, help, read] of [
      ['millrace_forwarded_total', 'Calls sent to other nodes since the start.', () => remote.forwarded],
      ['millrace_forward_retries_total', 'Calls sent to a second node.', () => remote.retries],
    ] as const) {
      meters.counter({ name, help, labelNames: [], read: (visit) => visit({}, read()) });
    }
    meters.gauge('millrace_open_breakers', 'Nodes not called, as their breaker is open.', () => choice.openBreakers);
  }

  /** Serves other nodes, and begins to learn of them. */
  start(own: readonly SourcedDefinition[]): void {
    this.#served.start();
    this.offer(own);
    this.#catalogue.start();
  }

  /** Whether a tool that is in no catalogue here is run by no other node either. */
  get knowsAllTools(): boolean {
    return this.#catalogue.complete;
  }

  /** Names of tools that a node ran lately and that were not taken away on purpose. */
  get seenTools(): readonly string[] {
    return this.#catalogue.seen;
  }

  /** Resolves when it knows what the others run, or after `FIRST_LOOK_MS_MAX`: without Redis it serves what it has. */
  async ready(): Promise<void> {
    await atMost(this.#catalogue.ready, FIRST_LOOK_MS_MAX);
  }

  /** What this node runs itself has changed. */
  offer(own: readonly SourcedDefinition[]): void {
    this.#options.membership.update({ tools: this.#catalogue.offer(own) });
  }

  /** Waits for calls on other nodes to end, at most `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    await atMost(this.#remote.idle(), graceMs);
  }

  stop(): void {
    this.#remote.stop();
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#catalogue.close();
  }
}
