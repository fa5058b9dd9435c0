/**
 * Mounted SDK servers: opened at start, listed again when they say that a list changed, closed at the end.
 *
 * Role: joins `src/mount` to the catalogue. The SDK is loaded only when there is something to mount.
 */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { SourcedDefinition } from '../catalogue/entries.ts';
import type { Log } from '../observe/port.ts';
import type { Bus } from '../subscriptions/port.ts';

/**
 * A server made with `@modelcontextprotocol/sdk`: an object or a factory runs on the front-end thread; a module whose
 * export is a factory is built again in every worker.
 */
export type McpServerSource =
  | McpServer
  | (() => McpServer | Promise<McpServer>)
  | { readonly module: string | URL; readonly exportName: string };

export interface MountsOptions {
  readonly servers: readonly McpServerSource[];
  readonly urlOf: (module: string | URL) => string;
  readonly bus: Bus;
  readonly log: Log;
  /** Takes what a server offers now; called again when it changes. */
  readonly give: (source: string, definitions: readonly SourcedDefinition[]) => void;
}

export class Mounts {
  readonly #options: MountsOptions;
  readonly #closers: (() => Promise<void>)[] = [];

  constructor(options: MountsOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    for (const [index, server] of this.#options.servers.entries()) await this.#mount(`mcp-server-${index}`, server);
  }

  async #mount(source: string, server: McpServerSource): Promise<void> {
    const { bus, give, log, urlOf } = this.#options;
    let relist = (): void => undefined;
    const listener = {
      listChanged: () => relist(),
      resourceUpdated: (uri: string) => bus.publish({ kind: 'resource', uri }),
      problem: (error: Error) =>
        log.warn({ err: error, source }, 'a mounted server sent a message that belongs to no call'),
    };
    if ('module' in server) {
      const { definitionsOfFactoryModule } = await import('../mount/factory-module.ts');
      const mounted = await definitionsOfFactoryModule(urlOf(server.module), server.exportName, listener);
      this.#closers.push(() => mounted.close());
      give(source, mounted.definitions);
      return;
    }
    const { MountedServer } = await import('../mount/mounted-server.ts');
    const mounted = await MountedServer.open(server, listener);
    this.#closers.push(() => mounted.close());
    const list = async (): Promise<void> => {
      const definitions = await mounted.definitions('inline');
      give(
        source,
        definitions.map((definition) => ({ definition, module: null })),
      );
    };
    await list();
    relist = () => {
      list().catch((error: unknown) =>
        log.error({ err: error, source }, 'the changed lists of a mounted server are not usable'),
      );
    };
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }
}
