/**
 * The process that makes load: started by `run-load.ts`, told once what to do, gone when it is done.
 *
 * Role: a client in a process of its own has no work of the harness beside it, and its own limit of open files.
 */
import { runAutocannon } from './autocannon-client.ts';
import type { FromClient, ToClient } from './job.ts';
import { runOwn } from './own-client.ts';

const stop = new AbortController();

function tell(message: FromClient): void {
  process.send?.(message);
}

function receive(message: ToClient): void {
  if (message.do === 'stop') {
    stop.abort();
    return;
  }
  const run = message.client === 'autocannon' ? runAutocannon : runOwn;
  run(message.job, () => tell({ is: 'measuring' }), stop.signal)
    .then((report) => tell({ is: 'done', report }))
    .catch((error: unknown) => tell({ is: 'failed', reason: error instanceof Error ? error.message : String(error) }))
    .finally(() => process.disconnect());
}

process.on('message', (message) => receive(message as ToClient));
// Ctrl-C reaches the whole group: the harness decides, and tells this process.
process.on('SIGINT', () => undefined);
