/**
 * Servers that end by themselves while something is measured: what is done with them ends at once, and says why.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamHolder } from '../../bench/load/stream-holder.ts';
import { loadVariant } from '../../bench/scenarios/load-variant.ts';
import type { Plan } from '../../bench/scenarios/scenario.ts';
import { startServer } from '../../bench/servers/server-process.ts';
import { eventually } from '../clients/eventually.ts';
import { scriptedServer } from './scripted-server.ts';

/** Its ready line has its pid; it leaves when it is told to. */
const LEAVING = `
process.once('SIGUSR2', () => { process.stderr.write('first\\nthe disk is full\\n', () => process.exit(3)); });
setInterval(() => undefined, 1000);
process.stdout.write('ready ' + process.pid + '\\n');
`;
const leaving = { command: process.execPath, args: ['-e', LEAVING] };
const never = new AbortController().signal;
/** Goes on until it is told to stop. */
const endless = (stopped: AbortSignal): Promise<string> =>
  new Promise((resolve) => void stopped.addEventListener('abort', () => resolve('stopped'), { once: true }));

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
    return false;
  }
}

describe('a server that ends by itself', () => {
  test('ends what is done with it, and is told with its exit code and its last lines', async () => {
    const server = await startServer(leaving);
    const during = server.during(never, endless);
    process.kill(server.pid, 'SIGUSR2');
    await assert.rejects(during, {
      message: 'the server ended by itself (exit code 3); the last on stderr:\nfirst\nthe disk is full',
    });
    await server.end();
  });

  test('before it is ready is told with its exit code and all it said', async () => {
    const said = 'x'.repeat(1500);
    const args = ['-e', `process.stderr.write('${said} the port is taken\\n', () => process.exit(3));`];
    await assert.rejects(
      startServer({ command: process.execPath, args }),
      /ended \(exit code 3\) before it was ready: x{1500} the port/,
    );
  });

  test('is told with the signal that ended it', async () => {
    const server = await startServer(leaving);
    const during = server.during(never, endless);
    process.kill(server.pid, 'SIGKILL');
    await assert.rejects(during, { message: 'the server ended by itself (SIGKILL); it said nothing on stderr' });
  });

  test('is the reason, not the connection that broke', async () => {
    const variant = loadVariant({
      name: 'leaving',
      role: 'peer',
      server: () => leaving,
      load: async (pid) => {
        process.kill(Number(pid), 'SIGKILL');
        await eventually(
          'the server',
          () => isThere(Number(pid)),
          (there) => !there,
        );
        throw new Error('ECONNREFUSED');
      },
    });
    await assert.rejects(variant.measure({ plan: {} as Plan, stopped: never }), /^Error: the server ended by itself/);
  });

  test('is none where its end was wanted, or where the work failed by itself', async () => {
    const server = await startServer(leaving);
    await assert.rejects(
      server.during(never, () => Promise.reject(new Error('no such tool'))),
      { message: 'no such tool' },
    );
    const stop = new AbortController();
    const during = server.during(stop.signal, endless);
    await server.kill();
    stop.abort();
    assert.equal(await during, 'stopped');
  });
});

test('the process that holds streams says what a call was answered with', async () => {
  const holder = new StreamHolder(never);
  const { close, url } = await scriptedServer((res, _at, body) => {
    if (body.includes('subscriptions/listen'))
      res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    else res.writeHead(500).end('out of order');
  });
  await holder.ask({ do: 'open', url, kind: 'listen', count: 1 }, 'opened');
  await assert.rejects(holder.ask({ do: 'listen', url, times: 1 }, 'heard'), /500 out of order/);
  await holder.end();
  await close();
});
