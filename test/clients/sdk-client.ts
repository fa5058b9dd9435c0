/**
 * A client of the official SDK 1.x over Streamable HTTP that answers whatever it is asked, and comes back soon when its
 * stream has ended.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  StreamableHTTPClientTransport,
  type StreamableHTTPClientTransportOptions,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

export const CAPABILITIES = { elicitation: {}, sampling: {}, roots: { listChanged: true } };

export const RECONNECTION = {
  initialReconnectionDelay: 5,
  maxReconnectionDelay: 50,
  reconnectionDelayGrowFactor: 1.5,
  maxRetries: 20,
};

export interface Connected {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
}

export async function connect(url: string, fetch: StreamableHTTPClientTransportOptions['fetch']): Promise<Connected> {
  const client = new Client({ name: 'sdk-1', version: '1' }, { capabilities: CAPABILITIES });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    role: 'assistant',
    model: 'test',
    content: { type: 'text', text: 'wheel' },
  }));
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///mill' }] }));
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch, reconnectionOptions: RECONNECTION });
  await client.connect(transport);
  return { client, transport };
}
