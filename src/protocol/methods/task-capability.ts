/**
 * Whether the client of a request speaks the tasks extension, and the refusal when it must and does not.
 */
import { TASKS_EXTENSION } from '../../tasks/port.ts';
import type { JsonObject } from '../channel.ts';
import { CAPABILITIES_KEY } from '../envelope-check.ts';
import { fault } from '../faults.ts';
import { isJsonObject } from '../message-shape.ts';

export const TASKS_REQUIRED = fault('missingCapability', `the client must declare the extension ${TASKS_EXTENSION}`, {
  requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } },
});

/** `params` of a 2026-07-28 request: it declares its client's capabilities. */
export function declaresTasks(params: JsonObject): boolean {
  const meta = params['_meta'];
  const capabilities = isJsonObject(meta) ? meta[CAPABILITIES_KEY] : undefined;
  const extensions = isJsonObject(capabilities) ? capabilities['extensions'] : undefined;
  return isJsonObject(extensions) && isJsonObject(extensions[TASKS_EXTENSION]);
}
