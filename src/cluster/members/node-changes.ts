/**
 * Tells listeners when nodes came, left, started anew, or changed status, URL, tools or version, and when it is known that
 * these are all; not for load.
 */
import type { NodeRecord } from '../port.ts';

export class NodeChanges {
  readonly #listeners = new Set<() => void>();
  #shown = '';

  on(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `nodes` in a fixed order. `isAll`: as far as the registry knows. */
  look(nodes: readonly NodeRecord[], isAll: boolean): void {
    const facts = nodes.map((node) => [node.id, node.epoch, node.status, node.url, node.version, node.tools]);
    const shown = JSON.stringify([isAll, facts]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    for (const listener of this.#listeners) listener();
  }
}
