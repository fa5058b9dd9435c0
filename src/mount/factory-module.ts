/**
 * A module whose export builds an SDK server: mounted once here to learn what it offers, and again in every worker that
 * is to run it.
 *
 * Invariants: each definition carries the module and the form `mcp-server`, by which a worker builds its own server and
 * picks the definition by kind and name. The server built here stays connected: the front-end thread runs calls itself
 * when the queue is full.
 * The lists are those of the server built here. One that differs from thread to thread cannot be served.
 */

import type { SourcedDefinition } from '../catalogue/entries.ts';
import type { EntryModule } from '../catalogue/entry.ts';
import { fileOf, importModule } from '../catalogue/import-module.ts';
import type { MountListener } from './answer-server.ts';
import { type McpServerFactory, MountedServer } from './mounted-server.ts';

export interface MountedModule {
  readonly definitions: readonly SourcedDefinition[];
  close(): Promise<void>;
}

/** Rejects with an error that names file and export. */
export async function definitionsOfFactoryModule(
  url: string,
  exportName: string,
  listener: MountListener,
): Promise<MountedModule> {
  const factory = (await importModule(url))[exportName];
  const place = `export ${exportName} of ${fileOf(url)}`;
  if (typeof factory !== 'function') throw new TypeError(`${place} is not a function that builds an McpServer`);
  const module: EntryModule = Object.freeze({ url, exportName, form: 'mcp-server' });
  let mounted: MountedServer | null = null;
  try {
    mounted = await MountedServer.open(factory as McpServerFactory, listener);
    const server = mounted;
    const definitions = await server.definitions('pool');
    return {
      definitions: definitions.map((definition) => ({ definition, module })),
      close: () => server.close(),
    };
  } catch (cause) {
    await mounted?.close();
    throw new Error(`${place} cannot be mounted: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
