/**
 * The authoring API: `defineTool`, `defineResource`, `definePrompt`, and the context a handler is given.
 *
 * Role: what people write against. These functions only check and freeze; compilation is in `compile.ts`.
 */
import { checkDefinition, checkOptions } from './check-definition.ts';

/** Who is calling, as authentication found it. */
export interface Principal {
  /** Stable identity: `sub` of a token, name of a static token. */
  readonly id: string;
  readonly scopes: readonly string[];
  /** Further claims a tool may read. */
  readonly claims?: Record<string, unknown>;
}

/** JSON Schema 2020-12 as a plain object. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** The part of the Standard Schema interface (standardschema.dev, v1) that millrace uses. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    /** Standard JSON Schema extension: `{ input({target}), output({target}) }`. */
    readonly jsonSchema?: {
      readonly input: (options: { target: string }) => Record<string, unknown>;
      readonly output: (options: { target: string }) => Record<string, unknown>;
    };
  };
}
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

export type AnySchema = JsonSchema | StandardSchema;
/** What a schema makes of a value that it accepts: the arguments of a handler. */
export type InferOutput<S> = S extends StandardSchema<infer _I, infer O> ? O : Record<string, unknown>;

export interface ToolAnnotations {
  title?: string;
  readOnlyHint?: boolean;
  destructiveHint?: boolean;
  idempotentHint?: boolean;
  openWorldHint?: boolean;
}
export interface Icon {
  src: string;
  mimeType?: string;
  sizes?: string[];
  theme?: 'light' | 'dark';
}

export type ContentBlock = { type: string; [member: string]: unknown };

/** A full tool result. Anything else a handler returns is wrapped: see `ToolReturn`. */
export interface CallToolResult<Structured = unknown> {
  content: ContentBlock[];
  /** There unless `isError` is, when the tool declares an `output`. */
  structuredContent?: Structured;
  isError?: boolean;
  _meta?: Record<string, unknown>;
}
/**
 * What a tool handler may return: a full result (an object with a `content` array), a string (one text block), or any
 * JSON value: structured content when `output` is declared, else its JSON as text.
 */
export type ToolReturn = CallToolResult | string | number | boolean | null | undefined | object;
/** `ToolReturn` of a tool that declares `output`: what that accepts, or a full result. Of a plain JSON Schema: anything. */
export type ToolReturnOf<O> =
  O extends StandardSchema<infer Accepted, infer _O>
    ? Widened<Accepted> | CallToolResult<Widened<Accepted>>
    : ToolReturn;
/**
 * Without literals and tuples: what a handler returns is inferred before its schema is known, so that `{ a: 'x' }` is an
 * object with a string. Whether it is the right one is checked when the tool runs.
 */
export type Widened<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends boolean
      ? boolean
      : T extends readonly (infer Each)[]
        ? readonly Widened<Each>[]
        : T extends object
          ? { [Member in keyof T]: Widened<T[Member]> }
          : T;

export interface LogLevels {
  debug: 0;
  info: 1;
  notice: 2;
  warning: 3;
  error: 4;
  critical: 5;
  alert: 6;
  emergency: 7;
}
export type LogLevel = keyof LogLevels;

export interface ElicitResult {
  action: 'accept' | 'decline' | 'cancel';
  content?: Record<string, unknown>;
}

/** What a handler knows of, and can do for, its request. The same object shape in a worker, inline and as a task. */
export interface HandlerContext {
  /** Aborted on cancellation, on a closed connection (2026-07-28, WebSocket) and at the deadline. Made on first use. */
  readonly signal: AbortSignal;
  /** The same, for tight synchronous loops: one atomic load. */
  cancelled(): boolean;
  /** Reports progress if the client asked for it; `progress` must rise. Otherwise does nothing. */
  progress(progress: number, total?: number, message?: string): void;
  /**
   * A log record for the client, if it wants that level (2026-07-28: one that names a level; earlier: `info` and above
   * until it sets another); also in the server's log.
   */
  log(level: LogLevel, data: unknown, logger?: string): void;
  /**
   * Asks the user. 2026-07-28: answers `input_required` and runs the handler again with the answer, so what precedes
   * it must be repeatable; earlier revisions: a request on this call's stream. `key` names the question on the wire.
   * Throws `MissingCapabilityError` when the client cannot.
   */
  elicit(request: { message: string; schema?: JsonSchema; url?: string; key?: string }): Promise<ElicitResult>;
  /**
   * Asks the client's model, as `elicit` asks the user: params of `sampling/createMessage`, result as the client gave
   * it. Throws `MissingCapabilityError` when the client cannot.
   */
  sample(params: {
    messages: unknown[];
    maxTokens: number;
    key?: string;
    [member: string]: unknown;
  }): Promise<Record<string, unknown>>;
  /** The client's roots, asked for as `elicit` does. Throws `MissingCapabilityError` when the client has no roots. */
  roots(options?: { key?: string }): Promise<{ roots: { uri: string; name?: string }[] }>;
  /** JSON values that are kept, sealed, across the rounds of a 2026-07-28 call; in earlier revisions for the call. */
  readonly state: Map<string, unknown>;
  /**
   * Tasks extension: turns the call into a task. Does nothing if it is one already, if the client has no tasks, or if this
   * is no tool. `ttlMs`: how long the task is kept (default, and null: as long as the server allows, which is 24 h unless
   * configured); `pollIntervalMs`: after which clients ask again (default 1000).
   */
  startTask(wish?: { ttlMs?: number | null; pollIntervalMs?: number }): Promise<void>;
  /** True when this call runs as a task. */
  readonly isTask: boolean;
  /** Tells subscribers that a list or a resource changed. */
  changed(what: 'tools' | 'resources' | 'prompts'): void;
  resourceUpdated(uri: string): void;
  /** Forgets a tool's cached results (`cache`) on every node: this call has made them out of date. */
  invalidate(tool: string): void;
  /**
   * Closes the connection of a 2025-11-25 call over HTTP; the client resumes it with Last-Event-ID after `retryMs` (whole
   * milliseconds, default 1000). Does nothing for other calls.
   */
  releaseConnection(retryMs?: number): void;
  /** Null: authentication is off. */
  readonly principal: Principal | null;
  /** From `X-Correlation-Id` or `X-Request-Id`, else the trace id, else made up for this call. */
  readonly correlationId: string;
  /** W3C trace context of the call; members are `''` when absent. */
  readonly trace: { readonly traceparent: string; readonly tracestate: string; readonly baggage: string };
  /** `_meta` of the request. */
  readonly meta: Record<string, unknown>;
  /** Client capabilities declared for this request or session. */
  readonly clientCapabilities: Record<string, unknown>;
}

/** `x-mcp-header` is written in the input schema, as the specification has it. */
export interface ToolOptions<I extends AnySchema = AnySchema, O extends AnySchema = AnySchema> {
  /** 1 to 128 of `A-Z a-z 0-9 _ . / -`. */
  name: string;
  title?: string;
  description?: string;
  /** Object at the root. Default: no arguments looked at. */
  input?: I;
  /**
   * Of `structuredContent`: what is returned is checked against it, and what a library's schema makes of it is sent.
   * Default: results have none.
   */
  output?: O;
  annotations?: ToolAnnotations;
  icons?: Icon[];
  /** `pool` (default): a worker thread, shared. `inline`: the front-end thread. `isolated`: a thread of its own, per call. */
  run?: 'pool' | 'inline' | 'isolated';
  /** Calls at once on this node. Default: no cap. */
  concurrency?: number;
  /** Labels a node must have (`cluster.labels`) to run it; others forward its calls. Ignored without Redis. */
  requires?: string[];
  /** 1 to 2^31 − 1. Default: the server's request timeout (5 s); of a task its `tasks.deadlineMs` (1 h). */
  timeoutMs?: number;
  /**
   * Results are kept `ttlMs` milliseconds (at most a day) and served to calls with the same arguments, whatever else they
   * carry. `public`: to everybody; `private`: to the same principal, or without authentication to the same session, but
   * not to stateless calls. Errors, questions and tasks are never kept.
   */
  cache?: { ttlMs: number; scope: 'public' | 'private' };
  /** Whether it may run on the front-end thread when the queue is full. Default true. */
  callerRuns?: boolean;
  /** Tasks extension: whether calls are tasks, for clients that can. `required`: others are refused. Default `never`. */
  task?: 'never' | 'optional' | 'required';
  /** `ttlMs` and `pollIntervalMs` of its tasks, as of `startTask`. */
  taskOptions?: { ttlMs?: number | null; pollIntervalMs?: number };
  _meta?: Record<string, unknown>;
}
export type ToolHandler<I extends AnySchema = JsonSchema, O extends AnySchema = JsonSchema> = (
  args: InferOutput<I>,
  context: HandlerContext,
) => ToolReturnOf<O> | Promise<ToolReturnOf<O>>;
export interface ToolDefinition extends ToolOptions {
  readonly kind: 'tool';
  readonly handler: (args: never, context: HandlerContext) => ToolReturn | Promise<ToolReturn>;
}

/** One of `text` and `blob`. */
export interface ResourceContents {
  uri: string;
  mimeType?: string;
  text?: string;
  /** Base64. */
  blob?: string;
  _meta?: Record<string, unknown>;
}
/** Text, bytes, full contents, or undefined for "not found". */
export type ResourceReturn = string | Uint8Array | { contents: ResourceContents[] } | undefined;
/** Values that begin with `value`, given the arguments filled in so far; the first 100 are sent. */
export type CompleteCallback = (
  value: string,
  context: { arguments: Record<string, string>; argument: string },
) =>
  | string[]
  | { values: string[]; total?: number; hasMore?: boolean }
  | Promise<string[] | { values: string[]; total?: number; hasMore?: boolean }>;

export interface ResourceOptions {
  /** Absolute, at most 2048 characters: a fixed resource. This or `template`, not both. */
  uri?: string;
  /** RFC 6570, levels 1 to 3 (`{a}`, `{+path}`, `{?q}`) and `{/path*}`; at most 2048 characters. Matched in linear time. */
  template?: string;
  name: string;
  title?: string;
  description?: string;
  mimeType?: string;
  /** Bytes. */
  size?: number;
  /** `priority`: 0 to 1. `lastModified`: ISO 8601. */
  annotations?: { audience?: ('user' | 'assistant')[]; priority?: number; lastModified?: string };
  icons?: Icon[];
  /** As of a tool. */
  run?: 'pool' | 'inline';
  /** As of a tool. */
  timeoutMs?: number;
  /** Cache hints of `resources/read`. Default `ttlMs: 0`, `cacheScope: 'private'`. */
  ttlMs?: number;
  cacheScope?: 'public' | 'private';
  /** Completions of template variables, by variable name. */
  complete?: Record<string, CompleteCallback>;
  _meta?: Record<string, unknown>;
}
export interface ResourceDefinition extends ResourceOptions {
  readonly kind: 'resource';
  readonly handler: (
    uri: string,
    variables: Record<string, string>,
    context: HandlerContext,
  ) => ResourceReturn | Promise<ResourceReturn>;
}

export interface PromptMessage {
  role: 'user' | 'assistant';
  content: ContentBlock;
}
/** A string: one message of the user. */
export type PromptReturn = string | PromptMessage[] | { description?: string; messages: PromptMessage[] };
export interface PromptOptions {
  name: string;
  title?: string;
  description?: string;
  arguments?: { name: string; title?: string; description?: string; required?: boolean; complete?: CompleteCallback }[];
  icons?: Icon[];
  /** As of a tool. */
  run?: 'pool' | 'inline';
  /** As of a tool. */
  timeoutMs?: number;
  _meta?: Record<string, unknown>;
}
export interface PromptDefinition extends PromptOptions {
  readonly kind: 'prompt';
  readonly handler: (args: Record<string, string>, context: HandlerContext) => PromptReturn | Promise<PromptReturn>;
}

export type Definition = ToolDefinition | ResourceDefinition | PromptDefinition;

/**
 * A tool. The handler gets the validated arguments (a library's schema may have transformed them) and the context.
 * Throws `DefinitionError`, which names the member, its value and what was expected.
 */
export function defineTool<I extends AnySchema = JsonSchema, O extends AnySchema = JsonSchema>(
  options: ToolOptions<I, O>,
  handler: ToolHandler<I, O>,
): ToolDefinition {
  checkOptions('defineTool', options);
  const definition: ToolDefinition = { ...options, kind: 'tool', handler: handler as ToolDefinition['handler'] };
  checkDefinition(definition);
  return Object.freeze(definition);
}

/**
 * A resource (`uri`) or a family of them (`template`). The handler gets the URI and the template's variables, decoded.
 * Throws `DefinitionError`, as `defineTool` does.
 */
export function defineResource(options: ResourceOptions, handler: ResourceDefinition['handler']): ResourceDefinition {
  checkOptions('defineResource', options);
  const definition: ResourceDefinition = { ...options, kind: 'resource', handler };
  checkDefinition(definition);
  return Object.freeze(definition);
}

/** A prompt. The handler gets its arguments as texts. Throws `DefinitionError`, as `defineTool` does. */
export function definePrompt(options: PromptOptions, handler: PromptDefinition['handler']): PromptDefinition {
  checkOptions('definePrompt', options);
  const definition: PromptDefinition = { ...options, kind: 'prompt', handler };
  checkDefinition(definition);
  return Object.freeze(definition);
}

/**
 * `instanceof` for the errors below. A tool may have its own copy of this package beside the server's, or a loader may
 * have made a second one: errors of the same name and shape count as ours. Derived classes keep the ordinary meaning.
 */
function isInstance(asked: object, own: object, value: unknown, name: string, member: string, type: string): boolean {
  if (Function.prototype[Symbol.hasInstance].call(asked, value)) return true;
  if (asked !== own || !(value instanceof Error) || value.name !== name) return false;
  return typeof (value as unknown as Record<string, unknown>)[member] === type;
}

/**
 * Thrown by `elicit`, `sample` and `roots` when the client did not declare what they need. Where a handler lets it pass,
 * 2026-07-28 is answered with error -32021 (HTTP 400), earlier revisions as for any other error.
 */
export class MissingCapabilityError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: the class that was asked, which may be a derived one
    return isInstance(this, MissingCapabilityError, value, 'MissingCapabilityError', 'requiredCapabilities', 'object');
  }
  readonly requiredCapabilities: object;
  constructor(requiredCapabilities: object) {
    super(`the client did not declare the capability this needs: ${JSON.stringify(requiredCapabilities)}`);
    this.name = 'MissingCapabilityError';
    this.requiredCapabilities = requiredCapabilities;
  }
}

/**
 * Thrown by a handler to answer with a JSON-RPC error instead of a result: `code`, `message` and `data` (JSON) go to the
 * client as they are.
 */
export class ProtocolError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: the class that was asked, which may be a derived one
    return isInstance(this, ProtocolError, value, 'ProtocolError', 'code', 'number');
  }
  readonly code: number;
  readonly data: unknown;
  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
    this.data = data;
  }
}
