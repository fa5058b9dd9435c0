/**
 * Answers what a mounted SDK server asks of its client, through the context of the call that caused the question, and
 * passes on what it reports.
 *
 * A question outside any call has nobody to answer it and is refused. One the context cannot answer now (a 2026-07-28
 * call that is to be retried with the answer, or a call that was cancelled) breaks the call off. A refusal by the
 * client, or a missing capability, goes back to the SDK server, which may know what to do without.
 */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ErrorCode,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  McpError,
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { MissingCapabilityError, ProtocolError } from '../catalogue/define.ts';
import type { CallLink } from './call-link.ts';
import type { ServedCall } from './served-call.ts';

/** Told what a mounted server says outside the answers to its calls. */
export interface MountListener {
  /** The SDK server's list is another now: ask for its definitions again. */
  listChanged(list: 'tools' | 'resources' | 'prompts'): void;
  /** A resource changed and no call is being served; within a call its context is told. */
  resourceUpdated(uri: string): void;
  /** Something the SDK could not make sense of, such as progress of a call that has ended. */
  problem(error: Error): void;
}

/** What this client can do depends on the call; here it only must not keep the server from asking. */
export const DECLARED_CAPABILITIES = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {}, context: {} },
  roots: {},
} as const;

export function answerServer(client: Client, link: CallLink, listener: MountListener): void {
  client.onerror = (error) => listener.problem(error);
  client.setRequestHandler(ElicitRequestSchema, ({ params }) =>
    ask(link, async ({ context }) => {
      const question = params.mode === 'url' ? { url: params.url } : { schema: { ...params.requestedSchema } };
      const { action, content } = await context.elicit({ message: params.message, ...question });
      // The SDK checks on both sides that the values are primitives.
      return content === undefined ? { action } : { action, content: content as Record<string, string> };
    }),
  );
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) =>
    ask(link, async ({ context }) => {
      const { _meta, ...question } = params;
      // The SDK checks the answer's shape before it sends it on.
      return (await context.sample(question)) as never;
    }),
  );
  client.setRequestHandler(ListRootsRequestSchema, () => ask(link, ({ context }) => context.roots()));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    link.current?.context.log(params.level, params.data, params.logger);
  });
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    const call = link.current;
    if (call === undefined) listener.resourceUpdated(params.uri);
    else call.context.resourceUpdated(params.uri);
  });
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => listener.listChanged('tools'));
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => listener.listChanged('resources'));
  client.setNotificationHandler(PromptListChangedNotificationSchema, () => listener.listChanged('prompts'));
}

async function ask<T>(link: CallLink, question: (call: ServedCall) => Promise<T>): Promise<T> {
  const call = link.current;
  if (call === undefined) throw new McpError(ErrorCode.InvalidRequest, 'no call is being served that could be asked');
  try {
    return await question(call);
  } catch (error) {
    if (error instanceof MissingCapabilityError) {
      call.missing = error;
      throw new McpError(ErrorCode.InvalidRequest, error.message);
    }
    if (error instanceof ProtocolError) throw new McpError(error.code, error.message, error.data);
    call.unwind(error);
    throw error;
  }
}
