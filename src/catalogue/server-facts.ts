/**
 * What the server says of itself: name, capabilities, instructions, per revision.
 *
 * Role: `server/discover` (2026-07-28) and the answer to `initialize` (earlier) are two forms of the same facts.
 * Only what a revision's schema has is said.
 */
import type { Settings } from '../config/settings.ts';
import {
  LATEST_SESSION_REVISION,
  REVISION_2024_11_05,
  REVISION_2026_07_28,
  type Revision,
  STATELESS_REVISIONS,
} from '../protocol/revisions.ts';
import { TASKS_EXTENSION } from '../tasks/port.ts';
import type { CatalogueHas, InitializeFacts } from './entry.ts';

/** Where results of 2026-07-28 say in their `_meta` who made them. */
export const SERVER_INFO_KEY = 'io.modelcontextprotocol/serverInfo';

export type ServerInfo = Settings['server'];

/** What is offered whatever the catalogue holds. */
export interface CapabilitySwitches {
  /** Declared even while the catalogue has none: for servers that add some later. */
  readonly tools: boolean;
  readonly resources: boolean;
  readonly prompts: boolean;
  /** Lists may change while the server runs, and clients are told. */
  readonly listChanged: boolean;
  /** `resources/subscribe`, and resource subscriptions of `subscriptions/listen`. */
  readonly subscribe: boolean;
  readonly logging: boolean;
  /** The tasks extension; 2026-07-28 only. */
  readonly tasks: boolean;
}

/** `serverInfo` with the members that the revision has. */
export function serverInfoFor(
  { name, title, version }: Omit<ServerInfo, 'instructions'>,
  revision: Revision,
): { readonly name: string; readonly version: string; readonly title?: string } {
  return revision.titles && title !== '' ? { name, version, title } : { name, version };
}

/** `_meta` of results of 2026-07-28, as JSON. */
export function serverMetaJson(server: ServerInfo): string {
  return JSON.stringify({ [SERVER_INFO_KEY]: serverInfoFor(server, REVISION_2026_07_28) });
}

function capabilitiesFor(has: CatalogueHas, switches: CapabilitySwitches, revision: Revision): object {
  const { listChanged, subscribe } = switches;
  return {
    ...(has.tools ? { tools: { listChanged } } : {}),
    ...(has.resources ? { resources: { subscribe, listChanged } } : {}),
    ...(has.prompts ? { prompts: { listChanged } } : {}),
    ...(switches.logging ? { logging: {} } : {}),
    ...(has.completions && revision !== REVISION_2024_11_05 ? { completions: {} } : {}),
    ...(switches.tasks && revision.stampedResults ? { extensions: { [TASKS_EXTENSION]: {} } } : {}),
  };
}

/** The members that every list and `server/discover` carry on 2026-07-28, as JSON without the braces. */
export function stampJson(server: ServerInfo, ttlMs: number, cacheScope: 'public' | 'private'): string {
  return `"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"${cacheScope}","_meta":${serverMetaJson(server)}`;
}

export function discoverJson(
  has: CatalogueHas,
  server: ServerInfo,
  switches: CapabilitySwitches,
  stamp: string,
): string {
  const body = JSON.stringify({
    supportedVersions: STATELESS_REVISIONS,
    capabilities: capabilitiesFor(has, switches, REVISION_2026_07_28),
    ...(server.instructions === '' ? {} : { instructions: server.instructions }),
  });
  return `${body.slice(0, -1)},${stamp}}`;
}

/** For a revision without sessions, the answer is that of the latest one that has them. */
export function initializeFacts(
  has: CatalogueHas,
  server: ServerInfo,
  switches: CapabilitySwitches,
  revision: Revision,
): InitializeFacts {
  const spoken = revision.era === 'session' ? revision : LATEST_SESSION_REVISION;
  return {
    capabilities: capabilitiesFor(has, switches, spoken),
    serverInfo: serverInfoFor(server, spoken),
    ...(server.instructions === '' ? {} : { instructions: server.instructions }),
  };
}
