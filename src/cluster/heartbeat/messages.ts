/**
 * What the front-end thread and the heartbeat thread tell one another.
 *
 * Role: the seam between `thread.ts` on one side and `heart.ts` on the other. Facts and goodbyes go in, sightings and
 * records for the log come out; numbers that change all the time stand in shared memory (`load-board.ts`).
 */
import type { NodeFacts, NodeRecord } from '../port.ts';

export interface HeartSetup {
  readonly id: string;
  readonly redisUrl: string;
  readonly tlsCaFile: string;
  readonly commandMsMax: number;
  /** Start of the keys. */
  readonly prefix: string;
  readonly heartbeatMs: number;
  /** Of this start, when it has one: the thread before this one got it. 0: the registry gives one. */
  readonly epoch: number;
  /** Nodes the thread before this one knew. */
  readonly known: readonly NodeRecord[];
  /** Where it is said, beside the registry, that this start of the node is there. */
  readonly presence: { readonly key: string; readonly start: string };
  readonly facts: NodeFacts;
  readonly board: SharedArrayBuffer;
}

export type ToHeart = { readonly kind: 'facts'; readonly facts: NodeFacts } | { readonly kind: 'leave' };

/** The cluster as the heartbeat thread sees it now. */
export interface Sighting {
  /** By id; without this node until it is registered. */
  readonly nodes: readonly NodeRecord[];
  /** 0: not registered yet. */
  readonly epoch: number;
  /** The registry was read since the thread began, with this node in it: `nodes` are all that there are. */
  readonly read: boolean;
  readonly fenced: boolean;
  /** Why the registry cannot be used: `away`, `slow`, `full`…; `''` when it can. */
  readonly trouble: string;
}

export type FromHeart =
  | { readonly kind: 'seen'; readonly sighting: Sighting }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly fields: object; readonly message: string }
  /** The last one, after `leave`. */
  | { readonly kind: 'left' };
