/**
 * Which answers of a call with an idempotency key are endings, and how one is given again under another id.
 *
 * Role: reads encoded responses. Their envelopes were written by this server: behind the id comes `,"result":` or
 * `,"error":`, and inside an id the quotes would be escaped.
 */
import { encodeFault, fault } from '../protocol/faults.ts';
import type { LedgerAnswer } from './port.ts';

/** Characters; of a longer answer only the fact is kept. */
export const ANSWER_CHARS_MAX = 1_048_576;

const RESULT_MEMBER = ',"result":';
const ERROR_MEMBER = ',"error":';

/** Null: the call has not ended, or may be made again. */
export function endingOf(status: number, responseJson: string, repeatable: boolean): LedgerAnswer | null {
  const at = responseJson.indexOf(RESULT_MEMBER);
  const size = responseJson.length;
  if (at < 0) return isFinalError(status, responseJson, repeatable) ? { status, responseJson } : null;
  if (size > ANSWER_CHARS_MAX) {
    if (repeatable) return null;
    const why = `the call with this key took effect; its answer of ${size} characters was too long to be kept`;
    return { status: 200, responseJson: encodeFault('0', fault('resultTooLarge', why)) };
  }
  const { resultType } = JSON.parse(responseJson.slice(at + RESULT_MEMBER.length, -1)) as { resultType?: unknown };
  return resultType === 'input_required' ? null : { status, responseJson };
}

/** Errors of validation are found again anyway; one that asks to try again was not executed. */
function isFinalError(status: number, responseJson: string, repeatable: boolean): boolean {
  if (repeatable || status === 429 || status === 503) return false;
  const { error } = JSON.parse(responseJson) as { error?: { data?: { retryAfterMs?: unknown } } };
  return typeof error?.data?.retryAfterMs !== 'number';
}

/** The same response under the id of whoever asks now. */
export function answeredFor(idJson: string, responseJson: string): string {
  const result = responseJson.indexOf(RESULT_MEMBER);
  const at = result < 0 ? responseJson.indexOf(ERROR_MEMBER) : result;
  return `{"jsonrpc":"2.0","id":${idJson}${responseJson.slice(at)}`;
}
