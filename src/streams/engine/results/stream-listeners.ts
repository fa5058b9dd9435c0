/**
 * Who is told of changes of streams: of results and alerts as they come, and of definitions put in force.
 *
 * Role: behind `Streams.onChange`, for the streams of a node as well as for those of a cluster.
 */
import type { StreamChange } from '../port.ts';

/** Of each kind. */
const LISTENERS_MAX = 64;

export class StreamListeners {
  readonly #changed = new Set<(change: StreamChange) => void>();
  readonly #defined = new Set<() => void>();

  /** Gives back how to stop listening. */
  onChange(listener: (change: StreamChange) => void): () => void {
    return joined(this.#changed, listener);
  }

  onDefined(listener: () => void): () => void {
    return joined(this.#defined, listener);
  }

  changed(change: StreamChange): void {
    for (const listener of this.#changed) listener(change);
  }

  defined(): void {
    for (const listener of this.#defined) listener();
  }
}

function joined<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  if (listeners.size >= LISTENERS_MAX) throw new Error(`more than ${LISTENERS_MAX} listeners to the streams`);
  listeners.add(listener);
  return () => listeners.delete(listener);
}
