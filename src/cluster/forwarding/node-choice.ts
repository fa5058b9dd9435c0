/**
 * Which node runs a forwarded call: of two that offer the tool, taken at random, the one with less to do.
 *
 * Role: joins what `Membership` says (status, load at the last heartbeat), what this node knows better (its own calls
 * under way there, the load the other told with its last answer), the breakers and, for a call that is repeated, what each
 * node may be asked to repeat. Two at random, not the least loaded
 * of all: all nodes see the same figures, a heartbeat old, and would all choose the same one.
 */
import type { Membership, NodeRecord } from '../port.ts';
import { Breaker, RetryBudget } from './breaker.ts';

/** Added to the load of a node whose front end stands still: only chosen when there is no other. */
const BUSY_LOAD = 1;

export interface NodeChoiceOptions {
  readonly membership: Pick<Membership, 'id' | 'nodes' | 'node'>;
  /** Whether a node has said, beside its record, that it runs a tool. */
  readonly offers: (nodeId: string, tool: string) => boolean;
  readonly now: () => number;
  /** 0 to 1, 1 excluded. */
  readonly random: () => number;
}

/** Why there is no node. */
export type NoNode = { readonly why: 'none' | 'tried' } | { readonly why: 'open'; readonly waitMs: number };

class NodeState {
  readonly breaker = new Breaker();
  readonly retries = new RetryBudget();
  /** Calls of this node under way there. */
  underWay = 0;
  load = 0;
  loadAtMs = Number.NEGATIVE_INFINITY;
}

export class NodeChoice {
  readonly #options: NodeChoiceOptions;
  readonly #states = new Map<string, NodeState>();
  /** Nodes by tool, until something changes. */
  readonly #offering = new Map<string, readonly string[]>();

  constructor(options: NodeChoiceOptions) {
    this.#options = options;
  }

  /** Nodes or their tools have changed. */
  changed(): void {
    this.#offering.clear();
    const { membership } = this.#options;
    for (const [id, { underWay }] of this.#states) {
      if (underWay === 0 && membership.node(id) === undefined) this.#states.delete(id);
    }
  }

  get openBreakers(): number {
    let open = 0;
    for (const { breaker } of this.#states.values()) if (breaker.open) open += 1;
    return open;
  }

  /** A node for a call that others, `tried`, have not run: one that may be sent another repetition, which it pays for. */
  pickAgain(tool: string, tried: readonly string[], isLong = false): string | null {
    const out = [...tried];
    for (;;) {
      const id = this.pick(tool, out, isLong);
      if (typeof id !== 'string') return null;
      if (this.#stateOf(id).retries.spend()) return id;
      out.push(id);
    }
  }

  /**
   * Not one of `tried`. One that drains is asked where no other runs the tool: until its drain delay is over it serves on,
   * for balancers and so for nodes; after that it refuses, which costs a question. `isLong`: the call may go on for longer
   * than a drain, and is better made when another node is there.
   */
  pick(tool: string, tried: readonly string[], isLong = false): string | NoNode {
    const found = this.#pickOf('running', tool, tried);
    if (typeof found === 'string' || found.why !== 'none' || isLong) return found;
    return this.#pickOf('draining', tool, tried);
  }

  #pickOf(status: NodeRecord['status'], tool: string, tried: readonly string[]): string | NoNode {
    const { membership, now, random } = this.#options;
    const nowMs = now();
    const able: NodeRecord[] = [];
    let waitMs = Number.POSITIVE_INFINITY;
    let offering = 0;
    for (const id of this.#nodesFor(tool)) {
      const record = membership.node(id);
      if (record === undefined || record.status !== status) continue;
      offering += 1;
      if (tried.includes(id)) continue;
      const breaker = this.#states.get(id)?.breaker;
      if (breaker === undefined || breaker.allows(nowMs)) able.push(record);
      else waitMs = Math.min(waitMs, breaker.waitMs(nowMs));
    }
    if (able.length === 0) {
      if (waitMs !== Number.POSITIVE_INFINITY) return { why: 'open', waitMs };
      return { why: offering === 0 ? 'none' : 'tried' };
    }
    const first = Math.floor(random() * able.length);
    const a = able[first] as NodeRecord;
    if (able.length === 1) return a.id;
    const b = able[(first + 1 + Math.floor(random() * (able.length - 1))) % able.length] as NodeRecord;
    return this.#loadOf(b, nowMs) < this.#loadOf(a, nowMs) ? b.id : a.id;
  }

  #nodesFor(tool: string): readonly string[] {
    const known = this.#offering.get(tool);
    if (known !== undefined) return known;
    const { membership, offers } = this.#options;
    const ids: string[] = [];
    for (const { id, tools } of membership.nodes) {
      if (id !== membership.id && (tools.includes(tool) || offers(id, tool))) ids.push(id);
    }
    this.#offering.set(tool, ids);
    return ids;
  }

  #loadOf(record: NodeRecord, nowMs: number): number {
    const state = this.#states.get(record.id);
    const told = state !== undefined && nowMs - state.loadAtMs < record.heartbeatAgeMs;
    const load = (told ? state.load : record.load) + (state?.underWay ?? 0);
    return load / Math.max(1, record.maxLoad) + (record.busy ? BUSY_LOAD : 0);
  }

  began(nodeId: string, isRetry: boolean): void {
    const state = this.#stateOf(nodeId);
    if (!isRetry) state.retries.earn();
    state.underWay += 1;
    state.breaker.began();
  }

  /** It has taken a call, or refused it: it is there. */
  answered(nodeId: string): void {
    this.#stateOf(nodeId).breaker.succeeded();
  }

  loadTold(nodeId: string, load: number): void {
    const state = this.#stateOf(nodeId);
    state.load = load;
    state.loadAtMs = this.#options.now();
  }

  /** Every `began` ends with one of these. */
  ended(nodeId: string, how: 'well' | 'failed' | 'dropped'): void {
    const state = this.#stateOf(nodeId);
    state.underWay -= 1;
    if (how === 'failed') state.breaker.failed(this.#options.now());
    else if (how === 'dropped') state.breaker.dropped();
  }

  #stateOf(nodeId: string): NodeState {
    let state = this.#states.get(nodeId);
    if (state === undefined) {
      state = new NodeState();
      this.#states.set(nodeId, state);
    }
    return state;
  }
}
