/**
 * Runs a load job with the client that was asked for, or the best there is for it.
 *
 * Role: the only place that chooses. `auto` is wrk for saturation where it is installed and autocannon where it is not,
 * and the own client where answers are read: wrk is slower then, and does not see those that never come. What neither
 * can do (open loops, WebSocket, several groups) is always the own client, whatever was asked for. The choice is part of
 * the result, since it belongs to the figure.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { autocannonRefuses } from './autocannon-client.ts';
import type { ClientName, FromClient, IterationJob, LoadGroup, LoadJob, LoadReport, ToClient } from './job.ts';
import { runWrk, wrkInstalled, wrkRefuses } from './wrk-client.ts';

export type ChosenClient = Exclude<ClientName, 'auto'>;

const PROCESS_FILE = fileURLToPath(new URL(`./process${import.meta.url.slice(-3)}`, import.meta.url));

export function chooseClient(
  wanted: ClientName,
  groups: readonly LoadGroup[],
  hasWrk: boolean = wrkInstalled(),
): ChosenClient {
  const isOpenLoop = groups.some((group) => group.ratePerSecond > 0);
  const fits = (client: ChosenClient): boolean => {
    if (client === 'own') return true;
    if (client === 'wrk') return hasWrk && wrkRefuses(groups) === null;
    // At a rate only when it was asked for by name: see the note on its pacing.
    return autocannonRefuses(groups) === null && (!isOpenLoop || wanted === 'autocannon');
  };
  const reads = groups.some((group) => group.readsResults);
  const best: readonly ChosenClient[] = reads ? ['own'] : ['wrk', 'autocannon', 'own'];
  const order: readonly ChosenClient[] = wanted === 'auto' ? best : [wanted, 'own'];
  return order.find(fits) ?? 'own';
}

export interface LoadRun {
  readonly client: ChosenClient;
  readonly report: LoadReport;
}

/** `measuring` is called when the warm-up is over. */
export async function runLoad(
  job: LoadJob,
  wanted: ClientName,
  measuring: () => void,
  stopped: AbortSignal,
): Promise<LoadRun> {
  const client = chooseClient(wanted, job.groups);
  if (client === 'wrk') return { client, report: await runWrk(job, measuring, stopped) };
  return { client, report: await runInProcess({ do: 'load', job, client }, measuring, stopped) };
}

/** Users with sessions: only the own client does that. */
export async function runIterationLoad(
  job: IterationJob,
  measuring: () => void,
  stopped: AbortSignal,
): Promise<LoadRun> {
  return { client: 'own', report: await runInProcess({ do: 'iterate', job }, measuring, stopped) };
}

function runInProcess(told: ToClient, measuring: () => void, stopped: AbortSignal): Promise<LoadReport> {
  return new Promise((resolve, reject) => {
    const stdio: ['ignore', 'ignore', 'inherit', 'ipc'] = ['ignore', 'ignore', 'inherit', 'ipc'];
    // JSON has no NaN, which stands for what was not measured.
    const child = fork(PROCESS_FILE, { stdio, serialization: 'advanced' });
    const stop = (): void => send(child, { do: 'stop' });
    stopped.addEventListener('abort', stop, { once: true });
    child.on('message', (message) => {
      const told = message as FromClient;
      if (told.is === 'measuring') measuring();
      else if (told.is === 'done') resolve(told.report);
      else reject(new Error(told.reason));
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      stopped.removeEventListener('abort', stop);
      reject(new Error(`the load process ended early (${signal ?? code})`));
    });
    send(child, told);
    if (stopped.aborted) stop();
  });
}

function send(child: ChildProcess, message: ToClient): void {
  if (child.connected) child.send(message);
}
