/**
 * The bus: what changed, told to whoever listens, on this node and (with a remote implementation) on others.
 *
 * Role: tools, the catalogue and streams publish; `subscriptions/listen` streams and session streams subscribe.
 * Changes carry no payload beyond their name, so that a slow listener can coalesce them.
 */
export type Change =
  | { readonly kind: 'tools' | 'resources' | 'prompts' }
  | { readonly kind: 'resource'; readonly uri: string }
  /** `taskJson`: the DetailedTask of the tasks extension. */
  | { readonly kind: 'task'; readonly taskId: string; readonly taskJson: string }
  /** Changes of other nodes may have been missed: every list and every resource may have changed. */
  | { readonly kind: 'missed' };

export interface Bus {
  publish(change: Change): void;
  /** Listeners are called in the turn of `publish` or later, never inside another listener. Returns unsubscribe. */
  subscribe(listener: (change: Change) => void): () => void;
}
