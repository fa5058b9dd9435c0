/**
 * Port of the rate budgets: how many calls per second, over all nodes.
 *
 * Role: asked once per call of a limited tool, on the front-end thread, and answered at once: a remote implementation
 * draws tokens ahead and lends them out locally. Without any limit configured nothing is asked.
 */
export interface RateBudgets {
  /**
   * Takes one token of each budget that matches. 0: go on; else milliseconds after which it is worth trying again, and
   * nothing was taken. `share`: of the principal, or of whoever calls without one.
   */
  take(tool: string, share: string): number;
  /** Whether a limit matches the tool at all. */
  limits(tool: string): boolean;
  close(): void;
}
