/**
 * What an answer is worth to others who asked the same.
 *
 * Role: reads the encoded response of a call. Its envelope was written by this server, so `,"result":` stands in it
 * once before the result: inside an id the quotes would be escaped.
 */

/** Characters; a longer result is not kept. */
export const RESULT_CHARS_MAX = 1_048_576;

export type Keepable =
  /** A result for everybody. */
  | { readonly kind: 'whole'; readonly resultJson: string }
  /** An error: another attempt may do better. */
  | { readonly kind: 'failed' }
  /** Meant for this caller alone: questions, a task, too long to keep. */
  | { readonly kind: 'own' };

const RESULT_MEMBER = ',"result":';
const FAILED: Keepable = Object.freeze({ kind: 'failed' });
const OWN: Keepable = Object.freeze({ kind: 'own' });

export function keepableResult(status: number, responseJson: string): Keepable {
  const at = responseJson.indexOf(RESULT_MEMBER);
  if (status !== 200 || at < 0) return FAILED;
  const resultJson = responseJson.slice(at + RESULT_MEMBER.length, -1);
  if (resultJson.length > RESULT_CHARS_MAX) return OWN;
  const { isError, resultType } = JSON.parse(resultJson) as { isError?: unknown; resultType?: unknown };
  if (isError === true) return FAILED;
  return resultType === undefined || resultType === 'complete' ? { kind: 'whole', resultJson } : OWN;
}
