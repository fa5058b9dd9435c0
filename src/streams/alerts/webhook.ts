/**
 * One webhook call: POST of JSON with an idempotency key, and what its failure means.
 *
 * Role: shared by alerts and the webhook sink. 2xx is taken; 408, 425, 429, 5xx and network errors may be tried again,
 * not before the time of `Retry-After`; anything else, redirects among it, will not get better.
 */
import { createHash } from 'node:crypto';

const CALL_MS_MAX = 10_000;
/** Of an idempotency key: receivers keep them, and bound headers. */
const KEY_CHARACTERS_MAX = 1024;
const DIGEST_CHARACTERS = 64;

export interface WebhookFailure {
  readonly message: string;
  readonly retry: boolean;
  /** As the receiver asked; 0 when it did not. */
  readonly retryAfterMs: number;
}

const RETRIED: ReadonlySet<number> = new Set([408, 425, 429]);

/** Null when it was taken. Never rejects. */
export async function callWebhook(
  url: string,
  headers: Readonly<Record<string, string>>,
  idempotencyKey: string,
  body: unknown,
  signal: AbortSignal,
): Promise<WebhookFailure | null> {
  const request = requestOf(url, headers, idempotencyKey, body);
  if (request instanceof Error) return { message: request.message, retry: false, retryAfterMs: 0 };
  try {
    const response = await fetch(request, { signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS_MAX)]) });
    await response.body?.cancel();
    if (response.ok) return null;
    const { status } = response;
    const retry = RETRIED.has(status) || status >= 500;
    const after = retryAfterMs(response.headers.get('retry-after') ?? '', Date.now());
    return { message: `status ${status}`, retry, retryAfterMs: after };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error), retry: true, retryAfterMs: 0 };
  }
}

/** An error: it cannot be written, and that will not get better. */
function requestOf(
  url: string,
  headers: Readonly<Record<string, string>>,
  idempotencyKey: string,
  body: unknown,
): Request | Error {
  try {
    const all = new Headers({ 'Content-Type': 'application/json', 'Idempotency-Key': headerSafe(idempotencyKey) });
    // In place of those, however they are spelled: names of headers have no case.
    for (const [name, text] of Object.entries(headers)) all.set(name, text);
    return new Request(url, {
      method: 'POST',
      headers: all,
      body: JSON.stringify(body),
      redirect: 'manual',
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Seconds or a date (RFC 9110, 10.2.3); 0 for anything else. */
export function retryAfterMs(header: string, nowMs: number): number {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
}

/** Header values are visible ASCII. Of a long text the end, which tells one window of a key from the next, is in a digest. */
function headerSafe(text: string): string {
  const safe = encodeURI(text);
  if (safe.length <= KEY_CHARACTERS_MAX) return safe;
  const digest = createHash('sha256').update(text).digest('hex');
  return `${safe.slice(0, KEY_CHARACTERS_MAX - DIGEST_CHARACTERS)}${digest}`;
}
