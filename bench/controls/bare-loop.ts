/**
 * A loop that does the work of a CPU-bound tool and nothing else: what a worker could do at most.
 *
 * No server: it says ready, works until it is ended, and then prints how often it did it per second.
 */
import { hashRounds } from '../scenarios/calibrate.ts';

const WARMUP_MS = 300;

interface LoopArguments {
  readonly rounds: number;
  readonly durationMs: number;
}

const { durationMs, rounds } = JSON.parse(process.argv[2] ?? '{}') as LoopArguments;
for (const end = performance.now() + WARMUP_MS; performance.now() < end; ) hashRounds(rounds);
const startMs = performance.now();
let times = 0;
while (performance.now() - startMs < durationMs) {
  hashRounds(rounds);
  times++;
}
const perSecond = (times * 1000) / (performance.now() - startMs);
process.stdout.write(`${JSON.stringify({ perSecond })}\n`);
