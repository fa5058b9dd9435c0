/**
 * Keeps V8 from making loops that cannot be terminated.
 *
 * From V8 13 on (Node.js 24) its optimizing compiler unrolls loops of JavaScript, and removes the check for interrupts
 * from some endless ones: `for (;;) kept.push(new Array(1000).fill(0))` goes on through `Worker.terminate`, past every
 * deadline, and past V8's own end of a thread whose heap is full, until the process is ended. Earlier versions do not
 * unroll loops of JavaScript, and do not know the flag.
 */
import { setFlagsFromString } from 'node:v8';

const V8_WITH_UNROLLING = 13;

/** Of the process; for what is compiled from now on. */
export function keepLoopsEndable(): void {
  if (Number.parseInt(process.versions.v8, 10) >= V8_WITH_UNROLLING)
    setFlagsFromString('--no-turboshaft-loop-unrolling');
}
