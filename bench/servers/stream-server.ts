/**
 * A millrace server with one live stream, and bodies to feed it with.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { millrace } from './commands.ts';
import { type ServerProcess, startServer } from './server-process.ts';

export interface StreamServerOptions {
  readonly workers: number;
  readonly durability: 'memory' | 'fsync';
  readonly windowMs: number;
}

/** Takes its folder with it when it ends. */
export async function startStreamServer(options: StreamServerOptions): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const file = join(folder, 'streams.json');
  writeFileSync(file, JSON.stringify({ streams: [definitionOf(options)] }));
  const flags = ['--workers', String(options.workers), '--streams', file, '--streaming-data-dir', join(folder, 'data')];
  const server = await startServer(millrace(...flags));
  return {
    ...server,
    async end() {
      await server.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function definitionOf({ durability, windowMs }: StreamServerOptions): object {
  return {
    name: 'bench',
    durability,
    schema: {
      fields: { ts: 'integer', key: 'string', value: 'number' },
      timestamp: { field: 'ts' },
      key: ['key'],
    },
    time: { outOfOrderMs: 0, idleAfterMs: 0, maxFutureMs: 0 },
    limits: { pendingBytesMax: 64 * 2 ** 20 },
    windows: [
      {
        name: 'w',
        type: 'tumbling',
        sizeMs: windowMs,
        retainRows: 1000,
        aggregates: {
          count: 'count',
          sum: { fn: 'sum', of: 'value' },
          min: { fn: 'min', of: 'value' },
          max: { fn: 'max', of: 'value' },
        },
      },
    ],
  };
}

/** Sends NDJSON to the stream; resolves with what the server says it took. */
export async function ingest(url: string, body: Uint8Array<ArrayBuffer>): Promise<number> {
  const answer = await fetch(new URL('/streams/bench/events', url), {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  });
  const text = await answer.text();
  if (answer.status === 429 || answer.status === 503) return 0;
  if (!answer.ok) throw new Error(`ingest was answered ${answer.status}: ${text.slice(0, 200)}`);
  return (JSON.parse(text) as { accepted: number }).accepted;
}
