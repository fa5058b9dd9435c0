/**
 * The sinks there are, by the `type` of their declaration. `stream` is not one of them: the engine does that itself.
 */
import { fileSinkKind } from './file-sink.ts';
import type { SinkKind } from './port.ts';
import { webhookSinkKind } from './webhook-sink.ts';

export const SINK_KINDS: ReadonlyMap<string, SinkKind> = new Map(
  [fileSinkKind, webhookSinkKind].map((kind) => [kind.type, kind]),
);
