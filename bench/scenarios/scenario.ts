/**
 * What a scenario is: a few variants that are measured one after the other, in rounds.
 *
 * Role: the seam between the harness, which knows rounds, order and reports, and the scenarios, which know what to
 * start and what to ask. A variant does everything for one round itself: start, check, load, measure, end.
 */
import type { ClientName } from '../load/job.ts';
import type { PeerName } from '../options.ts';
import type { FigureName, Role, Sample } from '../report/model.ts';

/** How long and how hard: compiled from the options, nothing optional. */
export interface Plan {
  readonly quick: boolean;
  /** No scenario was named: each is run as far as the suite has time for. */
  readonly wholeSuite: boolean;
  readonly rounds: number;
  readonly warmupMs: number;
  /** The same where a server is driven to its limit, and its compiled code is what is measured. */
  readonly saturatedWarmupMs: number;
  readonly durationMs: number;
  /** Connections of closed loops. */
  readonly connections: number;
  /** Offered rate of open loops. */
  readonly ratePerSecond: number;
  readonly client: ClientName;
  /** Worker threads of millrace and of the naive control. */
  readonly workers: number;
  readonly peers: readonly PeerName[];
  /** Parts of names; empty: all variants. */
  readonly variants: readonly string[];
}

export interface Round {
  readonly plan: Plan;
  readonly stopped: AbortSignal;
}

export interface Variant {
  readonly name: string;
  readonly role: Role;
  /** Part of a quick run. */
  readonly quick: boolean;
  /** Its server was there before. 0: nobody says which process it is, and so not what is beside it either. */
  readonly serverPid?: number;
  measure(round: Round): Promise<Sample>;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly columns: readonly FigureName[];
  readonly cannotShow: readonly string[];
  /** What others published of the same, for comparison; not measured here. */
  readonly published?: readonly string[];
  /**
   * What of it is run when no scenario is named, so that the whole suite takes less than ten minutes; null: nothing.
   * `judged`: quick variants and those that targets name.
   */
  readonly inSuite: { readonly roundsMax: number; readonly variants: 'all' | 'judged' } | null;
  /** For those whose rounds take long. */
  readonly roundsMax: number;
  /** `skipped` says what is left out here, and why. */
  prepare(plan: Plan): { readonly variants: readonly Variant[]; readonly skipped: readonly string[] };
}
