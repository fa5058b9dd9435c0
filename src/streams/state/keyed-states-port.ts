/**
 * State of any shape per key, encoded in shared memory: what patterns and anomalies keep.
 *
 * Role: for operators whose state is not rows of numbers. States are decoded when a task first touches their key and
 * written back, changed ones only, by `flush` at the end of the task. Timers are kept beside them so that `advance`
 * touches only keys that are due. A key with state is retained in its group's key table.
 */
export interface StateCodec<S> {
  encode(state: S): Uint8Array;
  decode(bytes: Uint8Array): S;
}

export interface KeyedStates<S> {
  readonly size: number;
  readonly byteLength: number;
  get(keyId: number): S | undefined;
  /** `timer`: event or processing time in ms at which the key is due; Infinity for never. */
  put(keyId: number, state: S, timer: number): void;
  delete(keyId: number): void;
  /** Keys whose timer is at or before `until`, by time then key id. They stay due until put again or deleted. */
  due(until: number): readonly number[];
  keys(): Iterable<number>;
  /** Writes what `put` and `delete` changed into the memory. Called once at the end of events, advance and tick. */
  flush(): void;
}
