/**
 * A record on its way through the pipeline: what its owner is asked and told, and how far it is.
 *
 * Role: between `pipeline.ts`, which moves records along, and the engine, which knows what they are.
 */
import type { DecodeResult, DecodeTask, ShardReport, Step } from './task.ts';

/** A record on its way. `task` null: nothing to decode. */
export interface Entry {
  readonly seq: number;
  /** By index; `TICK` for time that passes. */
  readonly stream: number;
  readonly task: DecodeTask | null;
  /** Resolves when the log has it. Rejects: it is left out. */
  readonly durable: Promise<void>;
  /** No thread can decode it: its steps are asked for with null then. Without this it is left out. */
  lost?(error: unknown): void;
  /** The steps it becomes; called once, in order. */
  steps(decoded: DecodeResult | null): readonly Step[];
  /** These of its steps could not be applied, and why. */
  refused?(steps: ReadonlyMap<Step, string>): void;
  /**
   * Called where it, or one behind it in its round, was lost or had steps refused: resolves when what a replay has to
   * know of it is durable, dead letters in the order of records. Rejects when that cannot be: nothing of the round is told.
   */
  keep?(decoded: DecodeResult | null): Promise<void>;
  /** Its steps have been applied, but those refused, with everything that follows from them. */
  applied(decoded: DecodeResult | null, reports: readonly ShardReport[]): void;
  /** It was left out. */
  failed(error: unknown): void;
}

export interface Moving {
  readonly entry: Entry;
  /** `logging`: not durable yet; then it waits to be decoded, or the log has `refused` it and it only waits for its turn. */
  state: 'logging' | 'refused' | 'waiting' | 'working' | 'ready' | 'failed';
  decoded: DecodeResult | null;
  /** What it is being decoded to is not right any more. */
  isStale: boolean;
  steps: readonly Step[];
  /** No thread could decode it, or steps of it were refused. */
  isLeftOut: boolean;
  error: unknown;
}

export const movingOf = (entry: Entry): Moving => ({
  entry,
  state: 'logging',
  decoded: null,
  isStale: false,
  steps: [],
  isLeftOut: false,
  error: null,
});

/** Their numbers are between those of the log. */
export const isDerived = ({ entry }: Moving): boolean => !Number.isInteger(entry.seq);

export const isSettled = (state: Moving['state']): boolean =>
  state === 'ready' || state === 'failed' || state === 'refused';

/** What the log refused is not: it may be behind records that a barrier holds back. */
export function isBegun(moving: Moving): boolean {
  const { state } = moving;
  return state === 'working' || state === 'ready' || state === 'failed' || isDerived(moving);
}

/** Before anything of their round is told. */
export async function keepLeftOut(entries: readonly Moving[]): Promise<void> {
  const last = entries.findLastIndex(({ isLeftOut }) => isLeftOut);
  for (const { decoded, entry, state } of entries.slice(0, last + 1)) {
    if (state === 'ready') await entry.keep?.(decoded);
  }
}
