/**
 * The public API of millrace: what tools are written with, and how a runtime is made.
 */
export {
  type AnySchema,
  type CallToolResult,
  type CompleteCallback,
  type ContentBlock,
  type Definition,
  definePrompt,
  defineResource,
  defineTool,
  type ElicitResult,
  type HandlerContext,
  type Icon,
  type InferOutput,
  type JsonSchema,
  type LogLevel,
  MissingCapabilityError,
  type Principal,
  type PromptDefinition,
  type PromptMessage,
  type PromptOptions,
  type PromptReturn,
  ProtocolError,
  type ResourceContents,
  type ResourceDefinition,
  type ResourceOptions,
  type ResourceReturn,
  type StandardResult,
  type StandardSchema,
  type ToolAnnotations,
  type ToolDefinition,
  type ToolHandler,
  type ToolOptions,
  type ToolReturn,
  type ToolReturnOf,
  type Widened,
} from './catalogue/define.ts';
export { withJsonSchema } from './catalogue/standard-schema.ts';
export { defineConfig, type RawConfig } from './config/raw.ts';
export type { Log } from './observe/port.ts';
export { createRuntime, type Runtime, type RuntimeOptions } from './runtime/create-runtime.ts';
export type { McpServerSource } from './runtime/mounts.ts';
export type { Reducer } from './streams/aggregates/reducer.ts';
export { type KeyValue, partitionOf } from './streams/decode/key-hash.ts';
export { defineStream } from './streams/define/compile.ts';
export type {
  AggregateDefinition,
  AlertDefinition,
  AnomalyDefinition,
  Durability,
  FieldDefinition,
  FieldType,
  JoinDefinition,
  LimitsDefinition,
  PatternDefinition,
  PatternStep,
  SchemaDefinition,
  SinkDefinition,
  SourceDefinition,
  StreamDefinition,
  TimeDefinition,
  TriggerDefinition,
  ViewDefinition,
  WindowDefinition,
} from './streams/define/definition.ts';
