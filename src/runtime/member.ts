/**
 * This node as the others see it, and the nodes as operators see them.
 *
 * Role: tells membership what this node is (URL, status, tools) from when it listens until it goes, and makes the answer
 * of `/cluster`. Alone or not is the business of what stands behind `Membership`.
 */
import { networkInterfaces } from 'node:os';
import type { CatalogueHolder } from '../catalogue/entry.ts';
import { clusterWarnings } from '../cluster/members/warnings.ts';
import { inUrl, isEveryInterface } from '../config/host-name.ts';
import type { Settings } from '../config/settings.ts';
import type { NodeReport } from '../observe/operations.ts';
import type { Health } from '../observe/port.ts';
import type { SharedState } from './shared-port.ts';

export interface MemberOptions {
  readonly settings: Settings;
  readonly shared: SharedState;
  readonly catalogue: CatalogueHolder;
  /** Calls in flight and waiting. */
  readonly load: () => number;
  /** Names of tools that nodes have run lately; whether one still does is looked at here. */
  readonly seenTools: () => readonly string[];
  /** Of requests, below the base URL. */
  readonly path: string;
}

export class Member {
  readonly #options: MemberOptions;
  #status: Health['status'] = 'starting';

  constructor(options: MemberOptions) {
    const { catalogue, load, shared } = options;
    this.#options = options;
    shared.reportLoad(load);
    // Among others it is told with what they are told of the tools themselves.
    if (shared.redis === null) catalogue.onChange(() => shared.membership.update({ tools: this.#tools }));
  }

  get #tools(): string[] {
    const { entries } = this.#options.catalogue.current;
    const own = entries.filter((entry) => entry.kind === 'tool' && entry.run !== 'remote');
    return own.map(({ name }) => name).sort();
  }

  /** It listens on `port`. Resolves also when there is no registry to be reached. */
  async join(port: number): Promise<void> {
    const { settings, shared } = this.#options;
    const { membership } = shared;
    this.#status = 'running';
    await membership.join({
      status: this.#status,
      url: settings.cluster.url === '' ? ownUrl(settings, port) : settings.cluster.url,
      maxLoad: settings.maxConcurrent + settings.queueSize,
      tools: shared.redis === null ? this.#tools : (membership.node(settings.nodeId)?.tools ?? []),
      version: settings.server.version,
    });
  }

  turn(status: Health['status']): void {
    this.#status = status;
    this.#options.shared.membership.update({ status });
  }

  nodes(): NodeReport[] {
    const { load, path, settings, shared } = this.#options;
    const { fenced, nodes } = shared.membership;
    return nodes.map(({ url, ...node }) => {
      const shown = { ...node, url: url === '' ? '' : `${url}${path}` };
      // Fenced, the record is that of another start.
      return node.id === settings.nodeId && !fenced ? { ...shown, load: load(), status: this.#status } : shown;
    });
  }

  warnings(): string[] {
    const { entries } = this.#options.catalogue.current;
    const shown = entries.filter(({ kind }) => kind === 'tool').map(({ name }) => name);
    const tools = new Set([...shown, ...this.#options.seenTools()]);
    return clusterWarnings(this.#options.shared.membership.nodes, [...tools].sort());
  }
}

/** Where other nodes reach this one, unless it is told. An address that stands for all is none of those. */
function ownUrl({ host, tls }: Settings, port: number): string {
  const reached = isEveryInterface(host) ? outerAddress() : host;
  return `${tls === null ? 'http' : 'https'}://${inUrl(reached)}:${port}`;
}

function outerAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}
