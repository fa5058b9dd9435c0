// HOT PATH
/**
 * The table of methods, one map per era.
 *
 * Role: from method name and era to the function that answers; nothing is resolved twice. What a method of one era
 * does in the other is said here by its absence. A handler that throws has a bug: the cause is logged, the client
 * learns that something went wrong, and nobody else is affected.
 */
import { serverMetaJson } from '../../catalogue/server-facts.ts';
import type { Caller, Channel, Methods, OpenRequest, RequestEnvelope } from '../channel.ts';
import { faultFrom } from '../faults.ts';
import { answerFault } from './answers.ts';
import { discover, listPrompts, listResources, listTemplates, listTools } from './catalogue-methods.ts';
import { complete } from './complete-method.ts';
import { FramedResults } from './framed-results.ts';
import { listen } from './listen-method.ts';
import type { MethodDeps, MethodHandler, MethodsOptions } from './method-deps.ts';
import { methodMissing } from './method-missing.ts';
import { callTool, getPrompt, readResource, runTool } from './pool-methods.ts';
import { ping, setLogLevel, subscribe, unsubscribe } from './session-methods.ts';
import { cancelTask, getTask, updateTask } from './task-methods.ts';

const SHARED: readonly (readonly [string, MethodHandler])[] = [
  ['tools/call', callTool],
  ['tools/list', listTools],
  ['resources/list', listResources],
  ['resources/templates/list', listTemplates],
  ['resources/read', readResource],
  ['prompts/list', listPrompts],
  ['prompts/get', getPrompt],
  ['completion/complete', complete],
];

/** `initialize` is answered where sessions are made. */
const SESSION: ReadonlyMap<string, MethodHandler> = new Map([
  ...SHARED,
  ['ping', ping],
  ['logging/setLevel', setLogLevel],
  ['resources/subscribe', subscribe],
  ['resources/unsubscribe', unsubscribe],
]);

const STATELESS: ReadonlyMap<string, MethodHandler> = new Map([
  ...SHARED,
  ['server/discover', discover],
  ['subscriptions/listen', listen],
  ['tasks/get', getTask],
  ['tasks/update', updateTask],
  ['tasks/cancel', cancelTask],
]);

class MethodTable implements Methods {
  readonly #deps: MethodDeps;

  constructor(deps: MethodDeps) {
    this.#deps = deps;
  }

  request(caller: Caller, envelope: RequestEnvelope, channel: Channel): OpenRequest | null {
    const { revision } = caller;
    const handler = (revision.era === 'stateless' ? STATELESS : SESSION).get(envelope.method);
    try {
      if (handler === undefined) return methodMissing(this.#deps, caller, envelope, channel);
      return handler(this.#deps, caller, envelope, channel);
    } catch (cause) {
      this.#deps.log.error({ err: cause, method: envelope.method }, 'a method failed');
      return answerFault(this.#deps, revision, envelope, channel, faultFrom(cause));
    }
  }
}

export function createMethods(options: MethodsOptions): Methods {
  const deps: MethodDeps = {
    ...options,
    frames: new FramedResults(),
    metaJson: serverMetaJson(options.settings.server),
    runTool: (entry, caller, envelope, channel, waitedMs) => runTool(deps, entry, caller, envelope, channel, waitedMs),
  };
  return new MethodTable(deps);
}
