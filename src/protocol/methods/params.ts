/**
 * The params of a request that this thread answers itself.
 *
 * Role: parses the body when nobody has yet. A body that was only scanned may still turn out not to be JSON; that is
 * told as the parse error it is.
 */
import type { JsonObject, RequestEnvelope } from '../channel.ts';
import { type Fault, fault } from '../faults.ts';
import { parseJson } from '../json.ts';
import { isJsonObject, shapeFault } from '../message-shape.ts';

export type Params = { readonly params: JsonObject; readonly wrong: null } | { readonly wrong: Fault };

const NO_PARAMS: JsonObject = Object.freeze({});

export function paramsOf(envelope: RequestEnvelope): Params {
  if (envelope.params !== null) return { params: envelope.params, wrong: null };
  const parsed = parseJson(envelope.body);
  if (!parsed.ok) return { wrong: fault('parse', parsed.reason) };
  const misshapen = shapeFault(parsed.value);
  if (misshapen !== null || !isJsonObject(parsed.value)) {
    return { wrong: misshapen ?? fault('invalidRequest', 'not a JSON-RPC message') };
  }
  const params = parsed.value['params'];
  return { params: isJsonObject(params) ? params : NO_PARAMS, wrong: null };
}
