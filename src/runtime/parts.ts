/**
 * What a program gives a runtime beside the options of a configuration file.
 *
 * Role: programs that no compiler has checked may give anything, so lists are looked at before one is gone through. What
 * else is wrong in them is found by those who take it.
 */
import { isDefinition } from '../catalogue/check-definition.ts';
import type { Definition } from '../catalogue/define.ts';
import { excerpt } from '../catalogue/definition-error.ts';
import { ConfigError } from '../config/problem.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { McpServerSource } from './mounts.ts';

export interface RuntimeParts {
  /** Modules (path or `file:` URL) whose exports are definitions: they can run in workers. */
  readonly modules?: readonly (string | URL)[];
  /** Definitions as objects. No worker can have them: they run inline, and another `run` is refused. */
  readonly definitions?: readonly Definition[];
  /** Servers made with the official SDK: their tools, resources and prompts are served by this runtime. */
  readonly mcpServers?: readonly McpServerSource[];
  /** Live streams, beside those of the configuration. */
  readonly liveStreams?: readonly StreamDefinition[];
}

/** Throws `ConfigError`. */
export function checkParts(parts: Readonly<Record<keyof RuntimeParts, unknown>>): void {
  const problems = Object.entries(parts)
    .filter(([, given]) => given !== undefined && !Array.isArray(given))
    .map(([name, given]) => `${name} = ${excerpt(given)}: must be a list`);
  const definitions: readonly unknown[] = Array.isArray(parts.definitions) ? parts.definitions : [];
  for (const [i, given] of definitions.entries()) {
    if (isDefinition(given)) continue;
    problems.push(`definitions[${i}] = ${excerpt(given)}: must be made by defineTool, defineResource or definePrompt`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
}
