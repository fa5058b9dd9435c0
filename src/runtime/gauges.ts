/**
 * What is read at scrape time: the sizes and loads of the runtime's parts.
 */
import type { FrontEnd } from '../frontend/port.ts';
import type { Meters } from '../observe/port.ts';
import type { SessionHub } from '../protocol/session/session-hub.ts';
import type { Listen } from '../subscriptions/listen.ts';
import type { Tasks } from '../tasks/port.ts';
import type { Engine } from './engine.ts';

export interface GaugeSources {
  readonly engine: Engine;
  readonly hub: SessionHub;
  readonly connectionHub: SessionHub;
  readonly listen: Listen;
  readonly tasks: Tasks;
  /** Null before the server listens. */
  readonly frontEnd: () => FrontEnd | null;
}

export function registerGauges(meters: Meters, sources: GaugeSources): void {
  const { engine, connectionHub, hub, listen, tasks, frontEnd } = sources;
  const sum = (read: (each: SessionHub) => number): number =>
    read(hub) + (connectionHub === hub ? 0 : read(connectionHub));
  meters.gauge('millrace_queue_depth', 'Calls waiting for a worker.', () => engine.admission.waiting);
  meters.gauge('millrace_in_flight', 'Calls with a permit.', () => engine.admission.inFlight);
  meters.gauge('millrace_workers', 'Worker threads that take calls.', () => engine.liveWorkers());
  meters.gauge('millrace_sessions', 'Sessions of revisions before 2026-07-28.', () => sum((each) => each.size));
  meters.gauge('millrace_streams', 'Open event streams and message connections.', () => sum((each) => each.streams), {
    kind: 'session',
  });
  meters.gauge('millrace_streams', 'Open event streams and message connections.', () => listen.size, {
    kind: 'listen',
  });
  meters.gauge('millrace_tasks', 'Tasks held.', () => tasks.size);
  meters.gauge('millrace_connections', 'Open connections.', () => frontEnd()?.connections ?? 0);
  for (let worker = 0; worker < engine.pool.size; worker++) {
    const read = (): number => engine.utilization(worker);
    meters.gauge('millrace_worker_utilization', 'Share of the time since the last scrape a worker was busy.', read, {
      worker: String(worker),
    });
  }
}
