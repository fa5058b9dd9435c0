/**
 * What a job's encoded response says.
 *
 * Role: the one place where a task looks into bytes that the tool's thread wrote.
 */
import type { RpcError } from '../dispatch/job.ts';

export type JobOutcome = { result?: object; error?: RpcError };

/** The result object, or the error object. Null: it is no JSON-RPC response. */
export function outcomeOf(responseJson: string): JobOutcome | null {
  try {
    const response: unknown = JSON.parse(responseJson);
    if (typeof response !== 'object' || response === null) return null;
    const { result, error } = response as { result?: unknown; error?: unknown };
    if (typeof result === 'object' && result !== null) return { result };
    return typeof error === 'object' && error !== null ? { error: error as RpcError } : null;
  } catch {
    // Only a bug of an encoder gets here; the caller logs it.
    return null;
  }
}
