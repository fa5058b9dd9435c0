/**
 * Evicts keyed states: those of the keys that have been idle longest.
 *
 * Role: for operators whose whole state is in `SharedKeyedStates`, when state is at its limit, or when a new plan no
 * longer has them. Mostly no result tells of it; keys are counted (`engine/results/evictions.ts`).
 */
import type { SharedKeyedStates } from './keyed-states.ts';

/** This part (0…1) of the keys that may go, those idle the longest first. */
export function idlestOf<S>(
  states: SharedKeyedStates<S>,
  share: number,
  mayGo: (keyId: number) => boolean,
): readonly number[] {
  const idle = states.idlest(states.size).filter(mayGo);
  return idle.slice(0, Math.ceil(idle.length * share));
}

/** Forgets this part (0…1) of the keys; how many there were. */
export function evictIdlest<S>(states: SharedKeyedStates<S>, share: number): number {
  return forget(states, states.idlest(Math.ceil(states.size * share)));
}

/** How many there were. */
export function forget<S>(states: SharedKeyedStates<S>, idle: readonly number[]): number {
  for (const keyId of idle) states.delete(keyId);
  states.flush();
  return idle.length;
}
