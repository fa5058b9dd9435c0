/**
 * Tells listeners when nodes came, left, started anew, or changed status, URL, tools or version; not for load.
 */
import type { NodeRecord } from '../port.ts';

export class NodeChanges {
  readonly #listeners = new Set<() => void>();
  #shown = '';

  on(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `nodes` in a fixed order. */
  look(nodes: readonly NodeRecord[]): void {
    const shown = JSON.stringify(
      nodes.map((node) => [node.id, node.epoch, node.status, node.url, node.version, node.tools]),
    );
    if (shown === this.#shown) return;
    this.#shown = shown;
    for (const listener of this.#listeners) listener();
  }
}
