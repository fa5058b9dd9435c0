/**
 * All peers at one job, each in a fresh process, one after the other:
 * `node dist/bench/streams/peers.js --job tumbling --keys 1000 --events 1000000 [--rounds 3] [--peer TEXT]`.
 *
 * Role: prints one line of JSON with a row per peer. Peers must agree: all on the totals of the check, those timed with
 * the same events on their totals too; otherwise it says who differs and exits with 1. A wrong command line: 64.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measurePeer } from './apart.ts';
import { JOB_NAMES, type JobName, jobOf, sameTotals, type Totals } from './job.ts';
import type { Measured, Refused } from './measure.ts';
import { PEERS } from './peer-list.ts';

const EXIT = { OK: 0, DIFFER: 1, USAGE: 64 } as const;

export interface PeersReport {
  readonly job: JobName;
  readonly keys: number;
  readonly events: number;
  readonly gapMs: number;
  readonly peers: readonly (Measured | Refused)[];
  /** What peers do not agree on; empty when all is well. */
  readonly differ: readonly string[];
}

export async function comparePeers(
  job: JobName,
  keys: number,
  events: number,
  rounds: number,
  only = '',
): Promise<PeersReport> {
  const chosen = PEERS.filter(({ name }) => name.toLowerCase().includes(only.toLowerCase()));
  const peers: (Measured | Refused)[] = [];
  // One after the other: they would share the cores.
  for (const { name } of chosen) peers.push(await measurePeer({ peer: name, job, keys, events, rounds }));
  return { job, keys, events, gapMs: jobOf(job, keys, events).gapMs, peers, differ: disagreements(peers) };
}

export function disagreements(peers: readonly (Measured | Refused)[]): string[] {
  const measured = peers.filter((peer): peer is Measured => !('refused' in peer));
  const differ: string[] = [];
  for (const peer of measured) {
    const first = measured[0] as Measured;
    const alike = measured.find(({ events }) => events === peer.events) as Measured;
    const says = (what: string, a: Totals, b: Totals, other: string): void => {
      if (!sameTotals(a, b)) differ.push(`${what}: ${peer.peer} ${JSON.stringify(a)}, ${other} ${JSON.stringify(b)}`);
    };
    says('check', peer.check, first.check, first.peer);
    says(`${peer.events} events`, peer.totals, alike.totals, alike.peer);
  }
  return differ;
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      job: { type: 'string', default: 'tumbling' },
      keys: { type: 'string', default: '1000' },
      events: { type: 'string', default: '1000000' },
      rounds: { type: 'string', default: '3' },
      peer: { type: 'string', default: '' },
    },
  });
  const job = JOB_NAMES.find((name) => name === values.job);
  const [keys, events, rounds] = [values.keys, values.events, values.rounds].map(Number) as [number, number, number];
  if (job === undefined || !(keys >= 1 && keys <= 1_000_000) || !(events >= 1) || !(rounds >= 1)) {
    process.stderr.write(`peers: --job ${JOB_NAMES.join('|')} --keys 1…1000000 --events ≥ 1 --rounds ≥ 1\n`);
    return EXIT.USAGE;
  }
  const report = await comparePeers(job, keys, events, rounds, values.peer);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  for (const difference of report.differ) process.stderr.write(`peers differ at ${difference}\n`);
  return report.differ.length === 0 ? EXIT.OK : EXIT.DIFFER;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
