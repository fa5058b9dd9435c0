/**
 * A `fetch` that shows everything to a `WireCheck` and otherwise is fetch: handed to real clients.
 *
 * JSON answers are read, checked and given on; event streams are checked event by event as they pass, so that a client
 * can leave them half-way.
 */
import { REVISION_2026_07_28, type Revision, revisionNamed } from '../../src/protocol/revisions.ts';
import { EventReader } from './event-reader.ts';
import type { Conversation, WireCheck } from './wire-check.ts';

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** One per client: what it asks and is told is one conversation. */
export function tapFetch(check: WireCheck, underneath: Fetch = fetch): Fetch {
  const conversation = check.conversation();
  return async (url, init) => {
    const sent = typeof init?.body === 'string' ? parsed(init.body) : undefined;
    if (sent !== undefined) conversation.sent(sent);
    const response = await underneath(url, init);
    return passed(response, conversation, fallbackOf(new Headers(init?.headers), conversation));
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Tests send broken JSON on purpose.
    return undefined;
  }
}

/** What a message without an id belongs to. */
function fallbackOf(headers: Headers, conversation: Conversation): Revision | null {
  const name = headers.get('mcp-protocol-version') ?? '';
  return revisionNamed(name) ?? (name >= REVISION_2026_07_28.name ? REVISION_2026_07_28 : conversation.revision);
}

async function passed(response: Response, conversation: Conversation, fallback: Revision | null): Promise<Response> {
  const { status, statusText, headers, body } = response;
  if (body === null) return response;
  const type = headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream')) {
    const reader = new EventReader((event) => {
      if (event.data !== '') conversation.received(JSON.parse(event.data), fallback);
    });
    const tap = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        reader.push(chunk);
        controller.enqueue(chunk);
      },
    });
    return new Response(body.pipeThrough(tap), { status, statusText, headers });
  }
  const text = await response.text();
  if (type.startsWith('application/json')) conversation.received(JSON.parse(text), fallback);
  return new Response(text === '' ? null : text, { status, statusText, headers });
}
