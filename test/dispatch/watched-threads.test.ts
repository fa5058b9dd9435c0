/**
 * How long the supervisor looks at threads: for as long as there are calls, or a thread that stands.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerLoad } from '../../src/dispatch/flights.ts';
import { TICK_MS } from '../../src/dispatch/supervisor.ts';
import { eventually } from '../clients/eventually.ts';
import { PlayedRig } from './played-rig.ts';

/** More than a thread is silent before it is taken to stand. */
const SILENT_TICKS = 40;
const PATIENCE_MS = 20_000;

test('a thread that stood when the last call ended is open again once it turns', { timeout: 60_000 }, async () => {
  const rig = new PlayedRig(true);
  // It waits for a core, and loops in nothing.
  rig.cores = 0;
  const load = rig.flights.loads[0] as WorkerLoad;
  for (let i = 0; i < SILENT_TICKS; i++) {
    rig.nowMs += TICK_MS;
    rig.supervisor.tick();
  }
  assert.equal(load.stuck, true);
  rig.supervisor.wake();
  try {
    // Looked at without a call, it stands still.
    const before = rig.looks;
    await eventually(
      'a look',
      () => rig.looks,
      (looks) => looks > before,
      PATIENCE_MS,
    );
    assert.equal(load.stuck, true);
    for (const [index, side] of rig.sides.entries()) side.beat(index, 0);
    await eventually(
      'it is open',
      () => load.stuck,
      (stuck) => !stuck,
      PATIENCE_MS,
    );
  } finally {
    rig.supervisor.stop();
  }
});
