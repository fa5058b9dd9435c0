/**
 * The public API of millrace: what tools are written with, and how a runtime is made.
 */
export {
  type CallToolResult,
  type ContentBlock,
  type Definition,
  definePrompt,
  defineResource,
  defineTool,
  type ElicitResult,
  type HandlerContext,
  type JsonSchema,
  type LogLevel,
  MissingCapabilityError,
  type PromptDefinition,
  type PromptMessage,
  type PromptOptions,
  ProtocolError,
  type ResourceContents,
  type ResourceDefinition,
  type ResourceOptions,
  type StandardSchema,
  type ToolDefinition,
  type ToolOptions,
  type ToolReturn,
} from './catalogue/define.ts';
export { withJsonSchema } from './catalogue/standard-schema.ts';
export { defineConfig, type RawConfig } from './config/raw.ts';
export { createRuntime, type Runtime, type RuntimeOptions } from './runtime/create-runtime.ts';
export type { McpServerSource } from './runtime/mounts.ts';
export { partitionOf } from './streams/decode/key-hash.ts';
export { defineStream } from './streams/define/compile.ts';
export type {
  AggregateDefinition,
  AlertDefinition,
  AnomalyDefinition,
  JoinDefinition,
  PatternDefinition,
  SchemaDefinition,
  SinkDefinition,
  SourceDefinition,
  StreamDefinition,
  ViewDefinition,
  WindowDefinition,
} from './streams/define/definition.ts';
