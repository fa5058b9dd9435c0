/**
 * One peer in a process of its own: `peer-process.js '{"peer":…,"job":…,"keys":…,"events":…,"rounds":…}'` prints what
 * `measure` found as one line of JSON.
 */
import { type JobName, jobOf } from './job.ts';
import { measure } from './measure.ts';
import { PEERS } from './peer-list.ts';

export interface PeerArguments {
  readonly peer: string;
  readonly job: JobName;
  readonly keys: number;
  readonly events: number;
  readonly rounds: number;
}

const given = JSON.parse(process.argv[2] ?? '{}') as PeerArguments;
const peer = PEERS.find(({ name }) => name === given.peer);
if (peer === undefined) throw new Error(`no peer ${given.peer}`);
const found = await measure(peer, jobOf(given.job, given.keys, given.events), given.rounds);
process.stdout.write(`${JSON.stringify(found)}\n`);
