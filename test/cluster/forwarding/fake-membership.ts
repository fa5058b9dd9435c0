/** Who is there, as the test says. */
import type { Membership, NodeFacts, NodeRecord } from '../../../src/cluster/port.ts';

export class FakeMembership implements Membership {
  readonly id: string;
  known = true;
  fenced = false;
  readonly degraded: readonly string[] = [];
  readonly #nodes = new Map<string, NodeRecord>();
  readonly #listeners = new Set<() => void>();

  constructor(id: string) {
    this.id = id;
  }

  get nodes(): readonly NodeRecord[] {
    return [...this.#nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  node(id: string): NodeRecord | undefined {
    return this.#nodes.get(id);
  }

  /** Comes, or changes. */
  set(id: string, facts: Partial<NodeRecord> = {}): void {
    const before = this.#nodes.get(id) ?? {
      id,
      status: 'running',
      url: '',
      load: 0,
      maxLoad: 100,
      busy: false,
      tools: [],
      version: '1',
      epoch: 1,
      heartbeatAgeMs: 1000,
    };
    this.#nodes.set(id, { ...before, ...facts });
    this.#tell();
  }

  remove(id: string): void {
    this.#nodes.delete(id);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  async join(facts: NodeFacts): Promise<void> {
    this.set(this.id, facts);
  }

  update(facts: Partial<NodeFacts>): void {
    this.set(this.id, facts);
  }

  async leave(): Promise<void> {
    this.remove(this.id);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
