/**
 * Completions of a definition as one callback.
 *
 * Role: a prompt has a callback per argument, a template one per variable; an entry of kind `completion` is one
 * callable. Both sides of a job use this: the catalogue when it makes the entry, the worker when it loads it.
 */
import type { CompleteCallback, Definition } from './define.ts';

/** Undefined when the definition completes nothing. An argument without a callback completes to nothing. */
export function completionOf(definition: Definition): CompleteCallback | undefined {
  const callbacks = callbacksOf(definition);
  if (callbacks.size === 0) return undefined;
  return (value, context) => callbacks.get(context.argument)?.(value, context) ?? [];
}

function callbacksOf(definition: Definition): Map<string, CompleteCallback> {
  const callbacks = new Map<string, CompleteCallback>();
  if (definition.kind === 'prompt') {
    for (const argument of definition.arguments ?? []) {
      if (argument.complete !== undefined) callbacks.set(argument.name, argument.complete);
    }
  }
  if (definition.kind === 'resource' && definition.template !== undefined) {
    for (const [name, callback] of Object.entries(definition.complete ?? {})) callbacks.set(name, callback);
  }
  return callbacks;
}
