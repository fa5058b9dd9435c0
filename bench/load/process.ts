/**
 * The process that makes load: started by `run-load.ts`, told once what to do, gone when it is done.
 *
 * Role: a client in a process of its own has no work of the harness beside it, and its own limit of open files.
 */
import { runAutocannon } from './autocannon-client.ts';
import { runIterations } from './iterations.ts';
import type { FromClient, LoadReport, ToClient } from './job.ts';
import { runOwn } from './own-client.ts';

const stop = new AbortController();

function tell(message: FromClient): void {
  process.send?.(message);
}

function runJob(told: Exclude<ToClient, { readonly do: 'stop' }>): Promise<LoadReport> {
  const measuring = (): void => tell({ is: 'measuring' });
  if (told.do === 'iterate') return runIterations(told.job, measuring, stop.signal);
  const run = told.client === 'autocannon' ? runAutocannon : runOwn;
  return run(told.job, measuring, stop.signal);
}

function receive(message: ToClient): void {
  if (message.do === 'stop') {
    stop.abort();
    return;
  }
  runJob(message)
    .then((report) => tell({ is: 'done', report }))
    .catch((error: unknown) => tell({ is: 'failed', reason: error instanceof Error ? error.message : String(error) }))
    .finally(() => process.disconnect());
}

process.on('message', (message) => receive(message as ToClient));
// Signals reach the whole group: the harness decides, and tells this process.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit());
