/**
 * Mounts a server made with the official SDK on this thread: its tools, resources and prompts as definitions.
 *
 * Role: the short form, for a server whose lists stay as they are, and what workers call for a factory module.
 * `MountedServer.open` is the long one: it can be listed again and closed.
 */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Definition } from '../catalogue/define.ts';
import type { MountListener } from './answer-server.ts';
import { type McpServerFactory, MountedServer } from './mounted-server.ts';

const silent = (): void => undefined;
/** The lists are taken once, and what a server says about calls that have ended concerns nobody any more. */
const NOBODY: MountListener = { listChanged: silent, resourceUpdated: silent, problem: silent };

/** The definitions run on this thread (`run: 'inline'`); their handlers keep the server connected. */
export async function mountMcpServer(server: McpServer | McpServerFactory): Promise<Definition[]> {
  const mounted = await MountedServer.open(server, NOBODY);
  return mounted.definitions('inline');
}
