/**
 * A sink that takes nothing until the test lets it, for streams that wait for it.
 */
import { CONNECTOR_KINDS, type ConnectorKinds } from '../../../src/streams/engine/connectors/connectors.ts';
import type { SinkKind } from '../../../src/streams/sinks/port.ts';

export const kindsWith = (sink: SinkKind): ConnectorKinds => ({
  ...CONNECTOR_KINDS,
  sinks: new Map([...CONNECTOR_KINDS.sinks, [sink.type, sink]]),
});

/** Takes nothing until it is let go; `lines`: that it has taken, in all. */
export function gated(): { readonly kind: SinkKind; readonly open: () => void; lines: number } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const kind: SinkKind = {
    type: 'gated',
    guarantee: 'at-least-once',
    options: [],
    create: () => ({
      open: () => Promise.resolve(0),
      async write({ lines }) {
        await opened;
        sink.lines += lines.length;
      },
      close: () => Promise.resolve(),
    }),
  };
  const sink = { kind, open, lines: 0 };
  return sink;
}
