/**
 * How long code takes, counted in time of the processor: whoever else wants it makes no difference.
 */
/** Of processor time: what takes longer does not grow as its input does. Far above what is usual, for slow machines. */
export const LINEAR_MS = 250;

/** Processor time of the best of some runs: what the code needs, whoever else wants the processor. */
export function fastestMs(runs: number, work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage();
    work();
    const { system, user } = process.cpuUsage(before);
    best = Math.min(best, (system + user) / 1000);
  }
  return best;
}

/** Processor time of the whole process for `ask`, with what it waits for: of the first run below `msMax`, or the best one. */
export async function promptMs(runsMax: number, msMax: number, ask: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runsMax && best >= msMax; run++) {
    const before = process.cpuUsage();
    await ask();
    const { system, user } = process.cpuUsage(before);
    best = Math.min(best, (system + user) / 1000);
  }
  return best;
}
