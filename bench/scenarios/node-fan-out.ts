/**
 * News to streams that hang on three nodes: the list of tools changes on one, and every stream on every node is told.
 *
 * Role: part of the cluster scenario. The streams are opened at the nodes themselves: a balancer would need two
 * descriptors for each. Its latencies are from the call that announces to the arrival on each stream.
 */
import { StreamHolder } from '../load/stream-holder.ts';
import { LatencyHistogram } from '../measure/histogram.ts';
import type { Sample } from '../report/model.ts';
import { Cluster } from '../servers/cluster.ts';
import { toolFolder } from '../servers/commands.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { withoutNaN } from './load-variant.ts';
import type { Round, Variant } from './scenario.ts';

const NODES = 3;
const STREAMS = 9_999;
const STREAMS_QUICK = 999;
const ANNOUNCEMENTS = 10;
const ROOM = '20000';
const FLAGS = ['--workers', '1', '--tools', toolFolder('streams'), '--max-connections', ROOM];

async function measure({ plan, stopped }: Round): Promise<Sample> {
  const flags = [...FLAGS, '--max-listen-streams', ROOM];
  const cluster = await Cluster.start({ nodes: NODES, flags: () => flags, balanced: false });
  const holder = new StreamHolder(stopped);
  try {
    const count = plan.quick ? STREAMS_QUICK : STREAMS;
    let open = 0;
    for (const { url } of cluster.nodes) {
      ({ open } = await holder.ask({ do: 'open', url, kind: 'listen', count: count / NODES }, 'opened'));
    }
    const { url } = cluster.nodes[0] as ServerProcess;
    const heard = await holder.ask({ do: 'listen', url, times: ANNOUNCEMENTS }, 'heard');
    const histogram = LatencyHistogram.decode(heard.histogram);
    return {
      figures: withoutNaN({
        streams: open,
        p50Us: histogram.percentileUs(50),
        p99Us: histogram.percentileUs(99),
        failed: count - open + heard.missing,
      }),
      curveUs: histogram.curve(),
      curveCount: histogram.count,
      intervals: [],
      client: 'own',
      problem: heard.problem,
    };
  } finally {
    await holder.end();
    await cluster.end();
  }
}

export const nodeFanOut: Variant = {
  name: `news, ${NODES} nodes`,
  role: 'millrace',
  quick: true,
  measure,
};
