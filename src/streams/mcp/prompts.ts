/**
 * Prompts that help a model to read a stream: one describes it, one explains an alert with its evidence.
 */
import { definePrompt, type PromptDefinition } from '../../catalogue/define.ts';
import { type OriginalEvent, type RaisedAlert, StreamRefusal, type Streams } from '../engine/port.ts';
import { describeStream, type StreamDescription } from './describe.ts';

const EVIDENCE_MAX = 8;
/** As many as `alert_list` shows at once. */
const ALERTS_SEARCHED = 200;

export function streamPrompts(streams: Streams): readonly PromptDefinition[] {
  return [describePrompt(streams), explainPrompt(streams)];
}

function describePrompt(streams: Streams): PromptDefinition {
  return definePrompt(
    {
      name: 'describe_stream',
      description: 'What a stream is, what is computed of it, and what is going on in it now.',
      run: 'inline',
      arguments: [
        {
          name: 'stream',
          required: true,
          complete: (start) => streams.plan.streams.map(({ name }) => name).filter((name) => name.startsWith(start)),
        },
      ],
    },
    async ({ stream = '' }) => {
      const description = await described(streams, stream);
      if (typeof description === 'string') return description;
      return `Stream ${stream}, as the server describes it:\n${JSON.stringify(description, null, 2)}\n\nSay in a few sentences what its events are, what each window, pattern and alert tells, and use window_query to find what is unusual in it now. Times are milliseconds since 1970; results after the watermark are not complete.`;
    },
  );
}

/** A text says why not: a model can act on it. */
async function described(streams: Streams, stream: string): Promise<StreamDescription | string> {
  try {
    return await describeStream(streams, stream);
  } catch (error) {
    if (error instanceof StreamRefusal) return `The stream cannot be described: ${error.message}.`;
    throw error;
  }
}

function explainPrompt(streams: Streams): PromptDefinition {
  return definePrompt(
    {
      name: 'explain_alert',
      description: 'An alert, the result that raised it, and the events behind it.',
      run: 'inline',
      arguments: [{ name: 'id', description: 'Id of the alert, as alert_list gives it.', required: true }],
    },
    async ({ id = '' }) => {
      try {
        const alert = await alertOf(streams, id);
        return alert === undefined
          ? `There is no alert with the id ${JSON.stringify(id.slice(0, 256))} any more.`
          : await explanationOf(streams, alert);
      } catch (error) {
        if (error instanceof StreamRefusal) return `The alert cannot be explained: ${error.message}.`;
        throw error;
      }
    },
  );
}

/** Whatever filter of `alert_list` showed it: among the newest of its stream, or of those there that are raised. */
async function alertOf(streams: Streams, id: string): Promise<RaisedAlert | undefined> {
  const stream = id.slice(0, Math.max(0, id.indexOf('/')));
  if (!streams.plan.streams.some(({ name }) => name === stream)) return undefined;
  for (const active of [false, true]) {
    const alerts = await streams.alerts({ stream, active, limit: ALERTS_SEARCHED });
    const alert = alerts.find((each) => each.id === id);
    if (alert !== undefined) return alert;
  }
  return undefined;
}

/** The connector that brought it, or the result that it was made of. */
function originOf({ result, source }: OriginalEvent): string {
  if (result === undefined) return source;
  return `the result of ${result.name} in stream ${result.stream} for the key ${JSON.stringify(result.key)}`;
}

async function explanationOf(streams: Streams, alert: RaisedAlert): Promise<string> {
  const events = await streams.events(alert.stream, (alert.result.context?.events ?? []).slice(0, EVIDENCE_MAX));
  const evidence = events.map((event) => `${event.id} from ${originOf(event)}: ${event.text}`).join('\n');
  return `Alert:\n${JSON.stringify(alert, null, 2)}\n\nEvents behind it (at most ${EVIDENCE_MAX}):\n${evidence === '' ? 'no longer held' : evidence}\n\nExplain in plain words what happened, to whom (the key), how far from normal it is, and what to look at next with window_query.`;
}
