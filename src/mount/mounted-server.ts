/**
 * A server made with the official SDK, connected in memory: its lists as definitions, its messages to a listener.
 *
 * Role: the composition of this folder. One SDK server and one SDK client serve all calls of a thread; which call a
 * message belongs to is the link's business. `getClientCapabilities()` of the mounted server answers for the client of
 * the call it is asked in.
 * Bound: `LISTED_MAX` items in each list.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  ListPromptsResultSchema,
  ListResourcesResultSchema,
  ListResourceTemplatesResultSchema,
  ListToolsResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { Definition } from '../catalogue/define.ts';
import { answerServer, DECLARED_CAPABILITIES, type MountListener } from './answer-server.ts';
import { CallLink } from './call-link.ts';
import type { Forwarding } from './forward.ts';
import {
  type MountedRun,
  promptDefinition,
  resourceDefinition,
  templateDefinition,
  toolDefinition,
} from './listed-definitions.ts';

/** Items taken from one list of a mounted server. */
export const LISTED_MAX = 10_000;

export type McpServerFactory = () => McpServer | Promise<McpServer>;

interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | undefined;
}

export class MountedServer {
  readonly #client: Client;
  readonly #to: Forwarding;

  private constructor(to: Forwarding) {
    this.#client = to.client;
    this.#to = to;
  }

  /** Connects the server; it must not be connected to anything else. Rejects when it does not come up. */
  static async open(server: McpServer | McpServerFactory, listener: MountListener): Promise<MountedServer> {
    const mcpServer = typeof server === 'function' ? await server() : server;
    if (typeof mcpServer?.connect !== 'function' || mcpServer.server === undefined) {
      throw new TypeError('not an McpServer of @modelcontextprotocol/sdk, nor a function that returns one');
    }
    const link = new CallLink();
    const client = new Client({ name: 'millrace', version: '1' }, { capabilities: DECLARED_CAPABILITIES });
    answerServer(client, link, listener);
    const { server: low } = mcpServer;
    const declared = low.getClientCapabilities.bind(low);
    low.getClientCapabilities = () => link.current?.context.clientCapabilities ?? declared();
    await mcpServer.connect(link.server);
    await client.connect(link.client);
    return new MountedServer({ client, link });
  }

  /** Everything the server lists now. */
  async definitions(run: MountedRun): Promise<Definition[]> {
    const can = this.#client.getServerCapabilities() ?? {};
    const completes = can.completions !== undefined;
    const to = this.#to;
    const found: Definition[] = [];
    if (can.tools !== undefined) {
      for (const tool of await this.#tools()) found.push(toolDefinition(tool, run, to));
    }
    if (can.resources !== undefined) {
      for (const resource of await this.#resources()) found.push(resourceDefinition(resource, run, to));
      for (const template of await this.#templates()) found.push(templateDefinition(template, run, to, completes));
    }
    if (can.prompts !== undefined) {
      for (const prompt of await this.#prompts()) found.push(promptDefinition(prompt, run, to, completes));
    }
    return found;
  }

  /** Ends the connection: calls under way fail, later ones too. */
  async close(): Promise<void> {
    await this.#client.close();
  }

  // `request` with the list schemas, not `listTools()`: that one compiles every output schema once more.

  #tools() {
    return allPages('tools', async (params) => {
      const page = await this.#client.request({ method: 'tools/list', params }, ListToolsResultSchema);
      return { items: page.tools, nextCursor: page.nextCursor };
    });
  }

  #resources() {
    return allPages('resources', async (params) => {
      const page = await this.#client.request({ method: 'resources/list', params }, ListResourcesResultSchema);
      return { items: page.resources, nextCursor: page.nextCursor };
    });
  }

  #templates() {
    return allPages('resource templates', async (params) => {
      const page = await this.#client.request(
        { method: 'resources/templates/list', params },
        ListResourceTemplatesResultSchema,
      );
      return { items: page.resourceTemplates, nextCursor: page.nextCursor };
    });
  }

  #prompts() {
    return allPages('prompts', async (params) => {
      const page = await this.#client.request({ method: 'prompts/list', params }, ListPromptsResultSchema);
      return { items: page.prompts, nextCursor: page.nextCursor };
    });
  }
}

async function allPages<T>(what: string, pageAt: (params: { cursor?: string }) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = [];
  for (let params: { cursor?: string } | null = {}; params !== null; ) {
    const { items, nextCursor }: Page<T> = await pageAt(params);
    all.push(...items);
    if (all.length > LISTED_MAX) throw new Error(`the mounted server lists more than ${LISTED_MAX} ${what}`);
    params = nextCursor === undefined ? null : { cursor: nextCursor };
  }
  return all;
}
