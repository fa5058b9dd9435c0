/**
 * How much work a millisecond is on this machine.
 *
 * Role: CPU scenarios ask for work, not for time: a tool that watches the clock would finish on time on a core it has
 * to share. The work is a chain of SHA-256, as the tool `hash` does it.
 */
import { hash } from 'node:crypto';

const TRIES = 5;
const ROUNDS = 2000;

export function hashRounds(rounds: number): void {
  let digest = hash('sha256', 'bench', 'buffer');
  for (let round = 1; round < rounds; round++) digest = hash('sha256', digest, 'buffer');
}

/** Rounds of `hash` that take about a millisecond here; the best of a few tries. */
export function roundsPerMs(): number {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const startMs = performance.now();
    hashRounds(ROUNDS);
    bestMs = Math.min(bestMs, performance.now() - startMs);
  }
  return Math.max(1, Math.round(ROUNDS / bestMs));
}
