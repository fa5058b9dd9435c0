/**
 * What `millrace init --streams` adds to a project: a live stream that needs nothing but the machine it runs on.
 *
 * Role: the one source of the example; `examples/streams/machine.yaml` is a copy of it, and a test holds them together.
 * It stands here as text for the same reason as the rest of a project does: see `project-files.ts`.
 */

/** Where the definition stands in the project. */
export const STREAM_FILE = 'streams/machine.yaml';

export const MACHINE_STREAM = `# This machine as a live stream: processor, memory, load and network, sampled twice a second.
streams:
  - name: machine
    title: This machine
    description: Counters of this machine, one event per core, interface and figure.
    schema:
      fields:
        host: string
        metric: string
        part: string
        value: number
        at: integer
      timestamp: { field: at, unit: ms }
      key: [metric, part]
    time:
      outOfOrderMs: 0
      idleAfterMs: 5000
    sources:
      - type: machine
        everyMs: 500
    windows:
      - name: last_5_seconds
        type: tumbling
        sizeMs: 5000
        aggregates:
          readings: count
          mean: { fn: mean, of: value }
          highest: { fn: max, of: value }
          p95: { fn: quantile, of: value, q: 0.95 }
      - name: last_minute
        type: hopping
        sizeMs: 60000
        slideMs: 5000
        aggregates:
          mean: { fn: mean, of: value }
          spread: { fn: stddev, of: value }
    anomalies:
      - name: unusual
        window: last_5_seconds
        value: mean
        type: ewma
        warmup: 12
        threshold: 4
    alerts:
      - name: busy_core
        on: last_5_seconds
        when: key.metric == "cpu" && mean > 80
        clear: mean < 60
        severity: warning
        message: '{key.part} is {mean} % busy'
`;

export const STREAM_TEST = `import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createRuntime, type Runtime } from 'millrace';

const VERSION = '2026-07-28';

interface Answer {
  result?: { structuredContent?: { rows?: { key: { metric: string }; values: { readings: number } }[] } };
}

describe('the stream of this machine', () => {
  let runtime: Runtime;
  let url = '';

  before(async () => {
    runtime = await createRuntime({ port: 0, streamFiles: ['streams/machine.yaml'], workers: 1, logLevel: 'warn' });
    url = (await runtime.listen()).url;
  });
  after(() => runtime.close(0));

  async function query(): Promise<Answer> {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': VERSION,
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const params = { name: 'window_query', arguments: { stream: 'machine', window: 'last_5_seconds' }, _meta };
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': VERSION,
        'mcp-method': 'tools/call',
        'mcp-name': params.name,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
    });
    return (await response.json()) as Answer;
  }

  test('counts readings of the memory', { timeout: 30_000 }, async () => {
    for (;;) {
      const { result } = await query();
      const memory = result?.structuredContent?.rows?.find((row) => row.key.metric === 'memory');
      if (memory !== undefined) return assert.ok(memory.values.readings > 0);
      await pause(100);
    }
  });
});
`;
