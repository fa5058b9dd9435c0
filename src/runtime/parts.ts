/**
 * What a program gives a runtime beside the options of a configuration file.
 *
 * Role: programs that no compiler has checked may give anything, so lists and their members are looked at before anything
 * is opened. What else is wrong in them is found by those who take them.
 */
import { isDefinition } from '../catalogue/check-definition.ts';
import type { Definition } from '../catalogue/define.ts';
import { excerpt } from '../catalogue/definition-error.ts';
import { ConfigError } from '../config/problem.ts';
import { isJsonObject } from '../protocol/message-shape.ts';
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

interface Expected {
  readonly fits: (given: unknown) => boolean;
  readonly what: string;
}

const isAddress = (given: unknown): boolean => typeof given === 'string' || given instanceof URL;
const isServer = (given: unknown): boolean =>
  typeof given === 'function' ||
  (isJsonObject(given) &&
    (!('module' in given) || (isAddress(given['module']) && typeof given['exportName'] === 'string')));

const EXPECTED: Readonly<Record<keyof RuntimeParts, Expected>> = {
  modules: { fits: isAddress, what: 'a path or a file: URL' },
  definitions: { fits: isDefinition, what: 'made by defineTool, defineResource or definePrompt' },
  mcpServers: {
    fits: isServer,
    what: 'an McpServer of @modelcontextprotocol/sdk, a function that returns one, or { module, exportName }',
  },
  liveStreams: { fits: isJsonObject, what: 'an object, as for defineStream' },
};

/** Throws `ConfigError`. */
export function checkParts(parts: Readonly<Record<keyof RuntimeParts, unknown>>): void {
  const problems = Object.entries(parts).flatMap(([name, given]) => {
    if (given === undefined) return [];
    if (!Array.isArray(given)) return [`${name} = ${excerpt(given)}: must be a list`];
    const { fits, what } = EXPECTED[name as keyof RuntimeParts];
    // Spread, as `flatMap` passes over what a list has no member for.
    const members: readonly unknown[] = [...given];
    return members.flatMap((member, i) =>
      fits(member) ? [] : [`${name}[${i}] = ${excerpt(member)}: must be ${what}`],
    );
  });
  if (problems.length > 0) throw new ConfigError(problems);
}
