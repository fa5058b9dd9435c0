/**
 * `--target URL`: one load against a server that is already running.
 *
 * Role: for operators, about their own server. It is asked once first, so a wrong tool name or token is an error message
 * and not a fast error rate. Sessions are opened per connection for revisions that have them, if the server wants any, and
 * ended when the round is over.
 */
import { closedLoop, type LoadGroup } from '../load/job.ts';
import type { TargetOptions } from '../options.ts';
import type { FigureName } from '../report/model.ts';
import { endSessions, openSessions, resultOf } from '../wire/exchange.ts';
import { type Caller, isModern, message, toolCall } from '../wire/messages.ts';
import type { WireRequest } from '../wire/request.ts';
import { loadServer, sampleOf } from './load-variant.ts';
import type { Round, Scenario } from './scenario.ts';

const IDS_PER_SESSION = 8;
const COLUMNS: readonly FigureName[] = [
  'perSecond',
  'p50Us',
  'p95Us',
  'p99Us',
  'p999Us',
  'cpuUsPerRequest',
  'residentMiB',
  'failed',
  'refused',
];

export function targetScenario(target: TargetOptions, connections: number): Scenario {
  const what = target.tool === '' ? 'tools/list' : `tools/call ${target.tool}`;
  const how = target.ratePerSecond === 0 ? 'at saturation' : `at ${target.ratePerSecond}/s`;
  return {
    name: 'target',
    title: `${what} ${how}, ${connections} ${connections === 1 ? 'connection' : 'connections'}, ${target.era}, ${target.url}`,
    // At a rate there are requests that never leave as well.
    columns: target.ratePerSecond === 0 ? COLUMNS : [...COLUMNS, 'successShare'],
    cannotShow: [
      'The server alone: the way to it, and what stands on it, are part of every figure.',
      ...(target.pid === 0 ? ['CPU and memory of the server: give --pid where it runs on this machine.'] : []),
    ],
    inSuite: null,
    roundsMax: Number.POSITIVE_INFINITY,
    prepare: () => ({
      // In the place of ours: what fails of it fails the run, and what becomes worse of it a comparison.
      variants: [
        {
          name: what,
          role: 'millrace',
          quick: true,
          serverPid: target.pid,
          measure: (round) => measure(target, round),
        },
      ],
      skipped: [],
    }),
  };
}

async function measure(
  target: TargetOptions,
  round: Round,
): ReturnType<ReturnType<Scenario['prepare']>['variants'][number]['measure']> {
  const { connections } = round.plan;
  const base: Caller = { revision: target.era, sessionId: '', headers: target.headers };
  const callers = isModern(target.era) ? [base] : await openSessions(target.url, base, connections, round.stopped);
  try {
    const groups = [await loadOf(target, callers, round)];
    const { run, usage } = await loadServer(target.url, target.pid, groups, round);
    return sampleOf(run, usage);
  } finally {
    await endSessions(target.url, callers);
  }
}

async function loadOf(
  target: TargetOptions,
  callers: readonly Caller[],
  { plan: { connections }, stopped }: Round,
): Promise<LoadGroup> {
  const requests = requestsOf(target, callers);
  const [first] = requests;
  if (first === undefined) throw new Error('nothing to send');
  const result = await resultOf(target.url, first, stopped);
  if (result['isError'] === true) throw new Error(`asked once, the tool answered ${JSON.stringify(result['content'])}`);
  if (!JSON.stringify(result).includes(target.expect)) {
    throw new Error(
      `asked once, the server answered without "${target.expect}": ${JSON.stringify(result).slice(0, 300)}`,
    );
  }
  return {
    ...closedLoop('target', requests, connections, target.expect),
    ratePerSecond: target.ratePerSecond,
    readsResults: true,
  };
}

function requestsOf(target: TargetOptions, callers: readonly Caller[]): WireRequest[] {
  const request = (caller: Caller, id: number): WireRequest =>
    target.tool === '' ? message(caller, 'tools/list', {}, id, '') : toolCall(caller, target.tool, target.args, id);
  if (isModern(target.era)) return callers.map((caller) => request(caller, 1));
  return Array.from({ length: callers.length * IDS_PER_SESSION }, (_, i) => {
    return request(callers[i % callers.length] as Caller, i + 1);
  });
}
