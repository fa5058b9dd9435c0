/**
 * What operators are told of a cluster beyond its nodes.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clusterWarnings } from '../../../src/cluster/members/warnings.ts';
import type { NodeRecord } from '../../../src/cluster/port.ts';

const node = (id: string, more: Partial<NodeRecord> = {}): NodeRecord => ({
  id,
  status: 'running',
  url: `http://${id}`,
  load: 0,
  maxLoad: 10,
  busy: false,
  tools: ['a'],
  version: '1',
  epoch: 1,
  heartbeatAgeMs: 0,
  ...more,
});

describe('warnings', () => {
  test('there are none when every tool is run by a node that lives, in one version, each under a URL of its own', () => {
    assert.deepEqual(clusterWarnings([node('n1'), node('n2', { tools: ['b'] })], ['a', 'b']), []);
    assert.deepEqual(clusterWarnings([node('n1', { url: '' }), node('n2', { url: '' })], ['a']), []);
    assert.deepEqual(clusterWarnings([node('n1', { status: 'draining' })], ['a']), []);
  });

  test('a tool that only a node runs which is stopping, or none', () => {
    const nodes = [node('n1'), node('n2', { tools: ['b'], status: 'stopping' })];
    assert.deepEqual(clusterWarnings(nodes, ['a', 'b', 'c']), ['no node runs the tool b', 'no node runs the tool c']);
  });

  test('different versions, one URL for two, a front end that stands still', () => {
    const nodes = [node('n1', { busy: true }), node('n2', { url: 'http://n1' }), node('n3', { version: '2' })];
    assert.deepEqual(clusterWarnings(nodes, []), [
      'the front end of n1 stands still',
      'the nodes have different versions: 1 (n1, n2), 2 (n3)',
      'n1, n2 have one URL: http://n1; set cluster.url of each',
    ]);
  });

  test('they are bounded', () => {
    const tools = Array.from({ length: 200 }, (_, index) => `tool-${index}`);
    const warnings = clusterWarnings([node('n1')], tools);
    assert.deepEqual([warnings.length, warnings.at(-1)], [51, 'and 150 more']);
  });
});
