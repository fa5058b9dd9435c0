/**
 * The design most people would write first: uWebSockets.js parses each request, hands the parsed object to Piscina as
 * one task, and turns the object that comes back into JSON. What it lacks is what D1 and D3 of the design are about.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { loadNative } from '../../src/frontend/uws/load.ts';
import { readArguments, sayReady } from './arguments.ts';

interface Call {
  readonly id: unknown;
  readonly method: string;
  readonly params: { readonly name: string; readonly arguments: Record<string, unknown> };
}

const loaded = loadNative();
if (!('native' in loaded)) throw new Error(loaded.reasons.join('; '));
const { native } = loaded;
const { workers } = readArguments();
const filename = fileURLToPath(new URL(`./naive-worker${import.meta.url.slice(-3)}`, import.meta.url));
const pool = new Piscina({ filename, name: 'call', minThreads: workers, maxThreads: workers });

async function answer(body: string): Promise<string> {
  const { id, method, params } = JSON.parse(body) as Call;
  if (method !== 'tools/call') return JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: method } });
  const result: unknown = await pool.run({ name: params.name, arguments: params.arguments });
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

native
  .App()
  .post('/*', (res) => {
    let aborted = false;
    let body = Buffer.alloc(0);
    res.onAborted(() => {
      aborted = true;
    });
    res.onData((chunk, isLast) => {
      body = Buffer.concat([body, Buffer.from(chunk)]);
      if (!isLast) return;
      void answer(body.toString()).then((text) => {
        if (!aborted) res.cork(() => void res.writeHeader('Content-Type', 'application/json').end(text, false));
      });
    });
  })
  .listen('127.0.0.1', 0, native.LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
    if (token === false) throw new Error('cannot listen');
    sayReady(native.us_socket_local_port(token));
  });
