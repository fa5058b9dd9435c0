/**
 * The stream resources: `stream://{stream}` and one below it per window, pattern, join, view, anomaly and alert.
 *
 * Role: what clients read and subscribe to. A read gives the newest results, closed and open; an update is told once per
 * close, however many keys closed. Each is listed, and the templates complete names for clients that ask, those of a window
 * or pattern among its stream's where that is given.
 */
import { defineResource, ProtocolError, type ResourceDefinition } from '../../catalogue/define.ts';
import { StreamRefusal, type Streams } from '../engine/port.ts';
import type { Plan } from '../plan.ts';
import { describeStream, operatorsOf } from './describe.ts';
import { newestResults } from './newest.ts';

const MIME = 'application/json';
/** JSON-RPC code of what a server refuses for reasons of its own. */
const REFUSED = -32000;

export function streamResources(streams: Streams): readonly ResourceDefinition[] {
  const listed = streams.plan.streams.flatMap((stream) => [
    streamResource(streams, stream.name, stream.description),
    ...operatorsOf(streams.plan, stream.index).map((operator) => operatorResource(streams, stream.name, operator)),
  ]);
  return [...listed, ...templates(streams)];
}

function streamResource(streams: Streams, name: string, description: string): ResourceDefinition {
  return defineResource(
    {
      uri: `stream://${name}`,
      name,
      description: description === '' ? `What stream ${name} holds and computes.` : description,
      mimeType: MIME,
      run: 'inline',
    },
    () => found(async () => JSON.stringify(await describeStream(streams, name))),
  );
}

function operatorResource(
  streams: Streams,
  stream: string,
  { kind, name, uri, values }: ReturnType<typeof operatorsOf>[number],
): ResourceDefinition {
  const described = values.length === 0 ? '' : `: ${values.join(', ')}`;
  return defineResource(
    {
      uri,
      name: `${stream}/${name}`,
      description: `Newest results of ${kind} ${name}${described}`.slice(0, 500),
      mimeType: MIME,
      run: 'inline',
    },
    () => found(() => newest(streams, stream, name)),
  );
}

async function newest(streams: Streams, stream: string, name: string): Promise<string> {
  return JSON.stringify(await newestResults(streams, stream, name));
}

function templates(streams: Streams): readonly ResourceDefinition[] {
  const streamNames = (start: string): string[] =>
    streams.plan.streams.map(({ name }) => name).filter((name) => name.startsWith(start));
  const namesOf = (kind: 'window' | 'pattern', start: string, stream: string | undefined): string[] => {
    const { operators, streams: all } = streams.plan;
    const fits = (each: Plan['operators'][number]): boolean =>
      each.kind === kind &&
      each.name.startsWith(start) &&
      (stream ?? all[each.stream]?.name) === all[each.stream]?.name;
    return [...new Set(operators.filter(fits).map(({ name }) => name))];
  };
  return (['window', 'pattern'] as const).map((kind) =>
    defineResource(
      {
        template: `stream://{stream}/${kind}s/{${kind}}`,
        name: `${kind}s of streams`,
        description: `Newest results of a ${kind}.`,
        mimeType: MIME,
        run: 'inline',
        complete: {
          stream: streamNames,
          [kind]: (start, { arguments: { stream } }) => namesOf(kind, start, stream),
        },
      },
      (_uri, variables) => {
        const [stream = '', name = ''] = [variables['stream'], variables[kind]];
        // Of another kind it has another address, and updates are told there.
        return isOfKind(streams, stream, name, kind) ? found(() => newest(streams, stream, name)) : undefined;
      },
    ),
  );
}

function isOfKind({ plan }: Streams, stream: string, name: string, kind: 'window' | 'pattern'): boolean {
  const index = plan.streams.findIndex((each) => each.name === stream);
  return plan.operators.some((each) => each.stream === index && each.name === name && each.kind === kind);
}

/** What does not exist is "not found"; what cannot be asked now is refused with the reason and a time to come back. */
async function found(read: () => Promise<string>): Promise<string | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StreamRefusal)) throw error;
    if (error.refusal === 'unknown') return undefined;
    const { retryAfterMs } = error;
    throw new ProtocolError(REFUSED, error.message, retryAfterMs > 0 ? { retryAfterMs } : undefined);
  }
}
