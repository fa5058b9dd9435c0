/** Which front end is opened for what was asked, and what is said of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openFrontEnd } from '../../src/frontend/open.ts';
import { loadNative } from '../../src/frontend/uws/load.ts';
import { LIMITS } from './scripted-handler.ts';

const options = { host: '127.0.0.1', port: 0, tls: null, limits: LIMITS };
const handler = { head: () => null };
const sockets = { path: '/mcp', handler: { upgrade: () => ({ status: 404, message: '' }) } };

function recorder(): { log: Parameters<typeof openFrontEnd>[4]; told: object[] } {
  const told: object[] = [];
  const ignore = (): undefined => undefined;
  return { told, log: { debug: ignore, info: (fields) => told.push(fields), warn: ignore, error: ignore } };
}

describe('opening a front end', () => {
  test('auto takes the native one where it loads, else node, and says which and why', async () => {
    const { log, told } = recorder();
    const front = await openFrontEnd('auto', options, handler, sockets, log);
    assert.equal(front.kind, 'native' in loadNative() ? 'uws' : 'node');
    assert.equal(told.length, 1);
    const [said] = told as { frontend: string; build: string; why: string }[];
    assert.deepEqual([said?.frontend, said?.build], [front.kind, front.description]);
    assert.match(said?.why ?? '', /loads|does not load: .+/);
    assert.ok(front.port > 0);
    await front.close();
  });

  test('node is taken when asked for', async () => {
    const { log } = recorder();
    const front = await openFrontEnd('node', options, handler, sockets, log);
    assert.deepEqual([front.kind, front.description], ['node', `node:http ${process.versions.node}`]);
    await front.close();
  });

  test('a host that cannot be bound is an error, on each', async () => {
    const { log } = recorder();
    const kinds = 'native' in loadNative() ? (['uws', 'node'] as const) : (['node'] as const);
    for (const kind of kinds) {
      await assert.rejects(
        openFrontEnd(kind, { ...options, host: '203.0.113.1' }, handler, sockets, log),
        /cannot listen/,
      );
    }
  });
});
