/**
 * One aggregate whose content is in the arena: its row holds an offset or two.
 *
 * Role: what compiled programs call for sketches, texts and states. Adding depends on the kind of value
 * (`addNumber`, `addText`, `addValue`), so it is not in here.
 * A row's doubles are all 0 at first, which means: nothing yet. `free` leaves them so.
 */
import type { Arena } from '../state/arena.ts';

export interface ArenaPart {
  /** Doubles of a row. */
  readonly doubles: number;
  /** `at`: index of this part's first double. The rows may be the same array, and the arenas the same object. */
  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void;
  free(arena: Arena, rows: Float64Array, at: number): void;
  /** Of parts that keep something beside the rows: writes it. */
  flush?(arena: Arena, rows: Float64Array): void;
}
