/**
 * Streams whose sink takes nothing, with as much waiting for it as may, end all the same: the log has what it lacks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { PENDING_BYTES_MAX } from '../../../src/streams/engine/results/delivery.ts';
import type { SinkKind } from '../../../src/streams/sinks/port.ts';
import type { SourceHost, SourceKind } from '../../../src/streams/sources/port.ts';
import { openRig, type Rig } from './rig.ts';

const BATCH_BYTES = 2 ** 20;
const PATIENCE_MS = 120_000;

const STREAM: StreamDefinition = {
  name: 'm',
  durability: 'memory',
  schema: { fields: { at: 'number', text: 'string' }, timestamp: { field: 'at', unit: 'ms' } },
  views: [{ name: 'all' }],
  sources: [{ type: 'endless' }],
  sinks: [{ type: 'wall' }],
};

/** Takes nothing. */
const wall: SinkKind = {
  type: 'wall',
  guarantee: 'at-least-once',
  options: [],
  create: () => ({
    open: () => Promise.resolve(0),
    write: () => Promise.reject(new Error('the other side is away')),
    close: () => Promise.resolve(),
  }),
};

/** Gives one batch after the other; stops when the one under way has an answer. */
const endless: SourceKind = {
  type: 'endless',
  options: [],
  create: (_options, _stream, host) => new Endless(host),
};

class Endless {
  readonly #host: SourceHost;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  readonly done = new Promise<void>(() => undefined);

  constructor(host: SourceHost) {
    this.#host = host;
  }

  start(): Promise<void> {
    this.#running = this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const body = Buffer.from(JSON.stringify({ at: 1000, text: 'x'.repeat(BATCH_BYTES) }));
    const rest = {
      format: 'ndjson',
      partition: '',
      position: '',
      batchId: '',
      traceparent: '',
      correlationId: '',
    } as const;
    while (!this.#stopped) await this.#host.accept({ ...rest, body }).catch(() => undefined);
  }
}

/** As many results as may wait, and one record that waits for room. */
async function untilFull(): Promise<Rig> {
  const { sinks, sources } = CONNECTOR_KINDS;
  const rig = await openRig([STREAM], {
    kinds: { sinks: new Map([...sinks, ['wall', wall]]), sources: new Map([...sources, ['endless', endless]]) },
  });
  const resultsMax = Math.ceil(PENDING_BYTES_MAX / BATCH_BYTES);
  while ((rig.service.list()[0]?.counters.results ?? 0) < resultsMax)
    await new Promise((resolve) => setImmediate(resolve));
  return rig;
}

for (const end of ['close', 'abandon'] as const) {
  test(`${end} comes to an end while records wait for room in a sink that takes nothing`, async () => {
    const rig = await untilFull();
    const ended = rig[end]().then(() => 'ended');
    const late = new Promise<string>((resolve) => setTimeout(resolve, PATIENCE_MS, 'never').unref());
    assert.equal(await Promise.race([ended, late]), 'ended');
  });
}
