import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventStream, HeaderPairs, Reply, RequestHead } from '../../src/frontend/port.ts';
import type { Endpoint } from '../../src/frontend/router.ts';
import { type NodeReport, operationsEndpoints } from '../../src/observe/operations.ts';
import type { Health } from '../../src/observe/port.ts';

interface Answer {
  status: number;
  contentType: string;
  body: string;
  headers: Record<string, string>;
}

const NODE: NodeReport = {
  id: 'n1',
  status: 'running',
  url: 'http://127.0.0.1:8080/mcp',
  load: 3,
  maxLoad: 1200,
  tools: ['echo'],
  version: '0.1.0',
  busy: false,
  epoch: 1,
  heartbeatAgeMs: 12,
};

/** Endpoints over sources a test can change. */
function setUp() {
  const state = {
    health: { status: 'running', degraded: [] } as Health,
    render: () => Promise.resolve('# metrics\n'),
    renderings: 0,
    errors: [] as string[],
  };
  const endpoints = operationsEndpoints({
    health: () => state.health,
    meters: {
      render: () => {
        state.renderings++;
        return state.render();
      },
    },
    nodes: () => [NODE],
    warnings: () => ['odd'],
    log: { error: (_fields, message) => void state.errors.push(message) },
  });
  return { state, ask: (path: string, method = 'GET') => ask(endpoints, path, method) };
}

function ask(endpoints: ReadonlyMap<string, Endpoint>, path: string, method: string): Promise<Answer> {
  const endpoint = endpoints.get(path);
  assert.ok(endpoint, path);
  return new Promise((resolve) => {
    const reply: Reply = {
      open: true,
      send(status, contentType, body, headers: HeaderPairs = []) {
        const text = typeof body === 'string' ? body : Buffer.from(body).toString();
        resolve({ status, contentType, body: text, headers: Object.fromEntries(headers) });
      },
      openStream: (): EventStream => assert.fail('no stream here'),
      remoteAddress: () => '',
    };
    const head: RequestHead = { method, path, query: '', header: () => '' };
    endpoint.head(head, reply)?.body(new Uint8Array(0), true);
  });
}

describe('health', () => {
  test('is live while anything answers at all', async () => {
    const { state, ask } = setUp();
    for (const status of ['starting', 'running', 'draining', 'stopping'] as const) {
      state.health = { status, degraded: [] };
      assert.deepEqual(
        [(await ask('/health/live')).status, (await ask('/health/live')).body],
        [200, '{"status":"live"}'],
      );
    }
  });

  test('is ready only while running, and names what is degraded', async () => {
    const { state, ask } = setUp();
    for (const [status, code] of [
      ['starting', 503],
      ['running', 200],
      ['draining', 503],
      ['stopping', 503],
    ] as const) {
      state.health = { status, degraded: ['workers'] };
      const answer = await ask('/health/ready');
      assert.deepEqual([answer.status, JSON.parse(answer.body)], [code, { status, degraded: ['workers'] }]);
      assert.deepEqual([answer.contentType, answer.headers['Cache-Control']], ['application/json', 'no-store']);
    }
  });
});

describe('metrics and cluster', () => {
  test('metrics come as Prometheus text', async () => {
    const answer = await setUp().ask('/metrics');
    assert.deepEqual(
      [answer.status, answer.contentType, answer.body],
      [200, 'text/plain; version=0.0.4; charset=utf-8', '# metrics\n'],
    );
  });

  test('scrapes that come together share one rendering, later ones get a new one', async () => {
    const { state, ask } = setUp();
    await Promise.all([ask('/metrics'), ask('/metrics'), ask('/metrics')]);
    assert.equal(state.renderings, 1);
    await ask('/metrics');
    assert.equal(state.renderings, 2);
  });

  test('a failing gauge is a 500 in the answer and a line in the log, and the next scrape tries again', async () => {
    const { state, ask } = setUp();
    state.render = () => Promise.reject(new Error('gauge'));
    const answer = await ask('/metrics');
    assert.deepEqual([answer.status, answer.body, state.errors], [500, '', ['metrics could not be rendered']]);
    state.render = () => Promise.resolve('again');
    assert.equal((await ask('/metrics')).body, 'again');
  });

  test('the cluster is a list of nodes, and what is odd about them', async () => {
    assert.deepEqual(JSON.parse((await setUp().ask('/cluster')).body), { nodes: [NODE], warnings: ['odd'] });
  });
});

describe('methods', () => {
  const paths = ['/health/live', '/health/ready', '/metrics', '/cluster'];

  test('HEAD answers as GET does: the front end sends the length of the body without it', async () => {
    const { ask } = setUp();
    for (const path of paths) {
      const [head, get] = [await ask(path, 'HEAD'), await ask(path)];
      assert.deepEqual([head.status, head.contentType, head.body], [get.status, get.contentType, get.body], path);
    }
  });

  test('others are refused with what is allowed', async () => {
    const { ask } = setUp();
    for (const path of paths) {
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
        const answer = await ask(path, method);
        assert.deepEqual([answer.status, answer.headers['Allow']], [405, 'GET, HEAD'], `${method} ${path}`);
      }
    }
  });
});
