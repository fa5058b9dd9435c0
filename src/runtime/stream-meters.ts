/**
 * What is read of the live streams at scrape time: what they have counted, and how much they hold.
 *
 * Role: between the facts of the streams that run on this node and the meters. A stream that runs elsewhere, or whose
 * start is not over, has no counters here: one that fell, or came back with a total of before, would be taken for a reset.
 * Names of operators are labels where their counts are: a window or pattern that is removed takes its own along.
 */
import type { Meters } from '../observe/port.ts';
import type { StreamFacts } from '../streams/engine/port.ts';

/** Said of each counter. */
const KEPT = 'Survives restarts as the state of the stream does.';
const ANEW = 'Starts at 0 with each process.';

type Count = (facts: StreamFacts) => number;
type CountsByOperator = (facts: StreamFacts) => Readonly<Record<string, number>>;

const COUNTERS: readonly (readonly [name: string, help: string, read: Count])[] = [
  ['events', `Events accepted. ${KEPT}`, ({ counters }) => counters.accepted],
  ['batches', `Batches applied. ${KEPT}`, ({ counters }) => counters.batches],
  ['late', `Late events dropped. ${KEPT}`, ({ counters }) => counters.late],
  ['rejected', `Poison events, and those of batches that were set aside. ${KEPT}`, ({ counters }) => counters.rejected],
  ['duplicates', `Duplicates of CloudEvents. ${KEPT}`, ({ counters }) => counters.duplicates],
  ['results', `Results emitted. ${KEPT}`, ({ counters }) => counters.results],
  ['results_refused', `Results that sinks refused for good. ${ANEW}`, ({ resultsRefused }) => resultsRefused],
  ['alert_calls_lost', `Webhook calls of alerts no receiver accepted. ${ANEW}`, ({ alertCallsLost }) => alertCallsLost],
  ['steps_left_out', `Watermarks and ticks that no thread could apply. ${ANEW}`, ({ stepsLeftOut }) => stepsLeftOut],
];

const COUNTERS_BY_OPERATOR: readonly (readonly [name: string, help: string, read: CountsByOperator])[] = [
  ['partials_dropped', `Partial matches given up at a limit. ${KEPT}`, ({ partialsDropped }) => partialsDropped],
  ['results_failed', `Results with null values as a reducer threw. ${ANEW}`, ({ resultsFailed }) => resultsFailed],
  ['keys_evicted', `Idle keys evicted for lack of room. ${KEPT}`, ({ keysEvicted }) => keysEvicted],
];

const GAUGES: readonly (readonly [name: string, help: string, read: Count])[] = [
  ['pending_bytes', 'Bytes accepted and not applied.', ({ pendingBytes }) => pendingBytes],
  ['spilled_bytes', 'Bytes of state on disk that memory has no room for.', ({ spilledBytes }) => spilledBytes],
  ['dead_letters', 'Dead letters that are kept, whatever their reason.', ({ deadLetters }) => deadLetters],
  ['watermark_lag_ms', 'Wall clock minus watermark.', lagOf],
];

/** `own`: facts of the streams that run here. */
export function registerStreamMeters(
  meters: Meters,
  streams: readonly string[],
  own: () => readonly StreamFacts[],
): void {
  for (const [name, help, count] of COUNTERS) {
    meters.counter({
      name: `millrace_stream_${name}_total`,
      help,
      labelNames: ['stream'],
      read(visit) {
        for (const facts of own()) visit({ stream: facts.name }, count(facts));
      },
    });
  }
  for (const [name, help, counts] of COUNTERS_BY_OPERATOR) {
    meters.counter({
      name: `millrace_stream_${name}_total`,
      help,
      labelNames: ['stream', 'operator'],
      read(visit) {
        for (const facts of own()) {
          for (const [operator, count] of Object.entries(counts(facts))) visit({ stream: facts.name, operator }, count);
        }
      },
    });
  }
  for (const stream of streams) {
    const of = (): StreamFacts | undefined => own().find((facts) => facts.name === stream);
    for (const [name, help, size] of GAUGES) {
      const read = (): number => {
        const facts = of();
        return facts === undefined ? 0 : size(facts);
      };
      meters.gauge(`millrace_stream_${name}`, help, read, { stream });
    }
  }
}

function lagOf({ watermark }: StreamFacts): number {
  const nowMs = Date.now();
  return Math.max(0, nowMs - (watermark ?? nowMs));
}
