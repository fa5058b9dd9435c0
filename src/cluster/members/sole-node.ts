/**
 * Membership of a node that is alone: it knows itself.
 *
 * Role: what the runtime has without Redis, so that nobody asks whether there is a cluster.
 */
import type { Membership, NodeFacts, NodeRecord } from '../port.ts';
import { NodeChanges } from './node-changes.ts';

export const UNKNOWN_FACTS: NodeFacts = { status: 'starting', url: '', maxLoad: 0, tools: [], version: '' };

export class SoleNode implements Membership {
  readonly id: string;
  readonly known: boolean = true;
  readonly fenced: boolean = false;
  readonly degraded: readonly string[] = [];
  readonly #changes = new NodeChanges();
  readonly #load: () => number;
  #facts: NodeFacts = UNKNOWN_FACTS;

  constructor(id: string, load: () => number = () => 0) {
    this.id = id;
    this.#load = load;
  }

  get nodes(): readonly NodeRecord[] {
    return [{ ...this.#facts, id: this.id, load: this.#load(), busy: false, epoch: 1, heartbeatAgeMs: 0 }];
  }

  node(id: string): NodeRecord | undefined {
    return id === this.id ? this.nodes[0] : undefined;
  }

  async join(facts: NodeFacts): Promise<void> {
    this.#facts = facts;
    this.#changes.look(this.nodes, true);
  }

  update(facts: Partial<NodeFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
    this.#changes.look(this.nodes, true);
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }

  onChange(listener: () => void): () => void {
    return this.#changes.on(listener);
  }
}
