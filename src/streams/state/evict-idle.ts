/**
 * Letting go of keyed states: those of the keys idle the longest.
 *
 * Role: what operators whose whole state is in `SharedKeyedStates` do when state is at its limit, or when a new plan is
 * without them. Of what goes no result tells; keys are counted (`engine/evictions.ts`).
 */
import type { SharedKeyedStates } from './keyed-states.ts';

/** Forgets this part (0…1) of the keys; how many there were. */
export function evictIdlest<S>(states: SharedKeyedStates<S>, share: number): number {
  const idle = states.idlest(Math.ceil(states.size * share));
  for (const keyId of idle) states.delete(keyId);
  states.flush();
  return idle.length;
}
