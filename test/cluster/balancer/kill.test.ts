/**
 * A node is killed under load (fault 35): the calls that were in flight on it and may not run twice fail, and no other
 * one; the other nodes know soon that it is gone, and that it is back.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../../src/config/version.ts';
import { eventually } from '../../clients/eventually.ts';
import { type CallRecord, failedOf, RecordedLoad } from './recorded-load.ts';
import { ClusterRig } from './rig.ts';

const PER_SECOND = 100;
/** The first calls: certainly in flight, spread over the nodes, of a tool that HAProxy is not told about. */
const LONG_CALLS = 30;
/** Before the kill, and after it. */
const CALLS_MIN = 50;
const ALL_IDS = 'node-1, node-2, node-3';
const TOOLS = join(PACKAGE_ROOT, 'dist/test/cluster/forwarding/fixtures/effects');

interface NodeView {
  readonly id: string;
  readonly load: number;
}

async function clusterOf(url: string): Promise<readonly NodeView[]> {
  const response = await fetch(new URL('/cluster', url));
  return ((await response.json()) as { nodes: readonly NodeView[] }).nodes;
}

const loadOf = async (url: string, id: string): Promise<number> =>
  (await clusterOf(url)).find((node) => node.id === id)?.load ?? 0;

describe('SIGKILL of a node under load', () => {
  let rig: ClusterRig;
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
  const gate = join(folder, 'gate');
  before(async () => {
    rig = await ClusterRig.start(['--tools', TOOLS]);
  });
  after(async () => {
    await rig?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  test('only calls in flight on it that the balancer may not repeat fail; called again, they succeed', async () => {
    const [victim] = rig.nodes;
    assert.ok(victim !== undefined);
    const others = rig.nodes.filter((node) => node !== victim);
    for (const node of others)
      await eventually(
        'all known',
        () => idsOf(node.url),
        (ids) => ids === ALL_IDS,
      );
    const load = new RecordedLoad(rig.url);
    const long = Array.from({ length: LONG_CALLS }, () => load.held(join(folder, 'effects'), gate));
    await eventually(
      'long calls on each node',
      () => Promise.all(rig.nodes.map((node) => loadOf(node.url, node.id))),
      (loads) => loads.reduce((sum, each) => sum + each, 0) === LONG_CALLS,
    );
    const onVictim = await loadOf(victim.url, victim.id);
    load.start(PER_SECOND);
    await eventually(
      'calls',
      () => load.history.length,
      (count) => count > CALLS_MIN,
    );
    await victim.kill();
    const killedMs = performance.now();
    for (const node of others) {
      await eventually(
        'gone',
        () => idsOf(node.url),
        (ids) => !ids.includes(victim.id),
      );
    }
    const whenGone = load.history.length;
    await eventually(
      'calls after it',
      () => load.history.length,
      (count) => count > whenGone + CALLS_MIN,
    );
    writeFileSync(gate, '');
    const failedLong = failedOf(await Promise.all(long));
    const failed = failedOf(await load.stop()).filter(({ number }) => number >= LONG_CALLS);
    assert.ok(failedLong.length > 0 && failedLong.length <= onVictim, `${failedLong.length} of ${onVictim} failed`);
    assert.deepEqual(
      failed.map((call) => describeCall(call, killedMs)),
      [],
    );
    const again = new RecordedLoad(rig.url);
    await Promise.all(failedLong.map(() => again.sleep(1)));
    assert.deepEqual(failedOf(await again.stop()), []);
    await victim.start();
    for (const node of others)
      await eventually(
        'back',
        () => idsOf(node.url),
        (ids) => ids === ALL_IDS,
      );
  });
});

const idsOf = async (url: string): Promise<string> => (await clusterOf(url)).map(({ id }) => id).join(', ');

const describeCall = (call: CallRecord, killedMs: number): string =>
  `call ${call.number} left ${call.startedMs - killedMs} ms after the kill: ${call.problem}`;
