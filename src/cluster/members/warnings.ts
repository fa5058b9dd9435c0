/**
 * What is odd about a cluster though every node of it may be well: for `/cluster` and `millrace status`.
 *
 * Role: pure. Each warning is one line; at most `WARNINGS_MAX` of them.
 */
import type { NodeRecord } from '../port.ts';

const WARNINGS_MAX = 50;

/** `tools`: names of those clients are told of, or were lately. */
export function clusterWarnings(nodes: readonly NodeRecord[], tools: readonly string[]): string[] {
  const live = nodes.filter(({ status }) => status !== 'stopping');
  const warnings = [...stalled(live), ...versions(live), ...sharedUrls(live), ...orphanedTools(live, tools)];
  if (warnings.length <= WARNINGS_MAX) return warnings;
  return [...warnings.slice(0, WARNINGS_MAX), `and ${warnings.length - WARNINGS_MAX} more`];
}

function stalled(nodes: readonly NodeRecord[]): string[] {
  return nodes.filter(({ busy }) => busy).map(({ id }) => `the front end of ${id} stands still`);
}

function versions(nodes: readonly NodeRecord[]): string[] {
  const byVersion = grouped(nodes, ({ version }) => version);
  if (byVersion.size <= 1) return [];
  const each = [...byVersion].map(([version, ids]) => `${version} (${ids.join(', ')})`);
  return [`the nodes have different versions: ${each.join(', ')}`];
}

function sharedUrls(nodes: readonly NodeRecord[]): string[] {
  const byUrl = [...grouped(nodes, ({ url }) => url)];
  return byUrl
    .filter(([url, ids]) => url !== '' && ids.length > 1)
    .map(([url, ids]) => `${ids.join(', ')} have one URL: ${url}; set cluster.url of each`);
}

function orphanedTools(nodes: readonly NodeRecord[], tools: readonly string[]): string[] {
  const offered = new Set(nodes.flatMap((node) => node.tools));
  return tools.filter((name) => !offered.has(name)).map((name) => `no node runs the tool ${name}`);
}

function grouped(nodes: readonly NodeRecord[], key: (node: NodeRecord) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const node of nodes) groups.set(key(node), [...(groups.get(key(node)) ?? []), node.id]);
  return groups;
}
