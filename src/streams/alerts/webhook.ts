/**
 * One webhook call: POST of JSON with an idempotency key, and what its failure means.
 *
 * Role: shared by alerts and the webhook sink. 2xx is taken; 408, 425, 429, 5xx and network errors may be tried again;
 * anything else will not get better.
 */
const CALL_MS_MAX = 10_000;

export interface WebhookFailure {
  readonly message: string;
  readonly retry: boolean;
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
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': headerSafe(idempotencyKey), ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS_MAX)]),
      redirect: 'error',
    });
    await response.body?.cancel();
    if (response.ok) return null;
    const { status } = response;
    return { message: `status ${status}`, retry: RETRIED.has(status) || status >= 500 };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error), retry: true };
  }
}

/** Header values are visible ASCII. */
function headerSafe(text: string): string {
  return encodeURI(text).slice(0, 1024);
}
