/**
 * The protocol revisions millrace speaks, each as one frozen row of facts.
 *
 * Role: the only place that knows what differs between revisions. Everything behind the classifier carries a
 * `Revision` and asks it (`revision.batching`, `revision.resourceNotFoundCode`); nothing compares version strings.
 * Source of the facts: the Model Context Protocol specification, one page set per revision.
 */
export interface Revision {
  /** Position in `REVISIONS`; small enough for one word of a job slot. */
  readonly index: number;
  /** Date-shaped name as it stands on the wire. */
  readonly name: string;
  /** `stateless`: per-request `_meta`, no handshake. `session`: `initialize` and `Mcp-Session-Id`. */
  readonly era: 'stateless' | 'session';
  /** JSON-RPC arrays are accepted (2025-03-26 only). */
  readonly batching: boolean;
  /** Results carry `resultType`, list results `ttlMs` and `cacheScope`, and `_meta` the server info. */
  readonly stampedResults: boolean;
  /** `structuredContent` and `outputSchema` exist; before 2026-07-28 only with an object at the root. */
  readonly structuredContent: 'none' | 'object' | 'any';
  /** `title` on tools, resources and prompts; `resource_link` content. */
  readonly titles: boolean;
  /** `icons` on tools, resources, prompts and implementations. */
  readonly icons: boolean;
  /** Tool annotations, audio content, the `completions` capability, progress messages. */
  readonly annotations: boolean;
  /** `elicitation/create` exists; URL mode from 2025-11-25 on. */
  readonly elicitation: 'none' | 'form' | 'url';
  /** Server may open an SSE answer with a priming event and close it early (SEP-1699). */
  readonly ssePolling: boolean;
  /** JSON-RPC code of a resource that does not exist. */
  readonly resourceNotFoundCode: -32002 | -32602;
}

const row = (index: number, name: string, rest: Omit<Revision, 'index' | 'name'>): Revision =>
  Object.freeze({ index, name, ...rest });

export const REVISION_2024_11_05 = row(0, '2024-11-05', {
  era: 'session',
  batching: false,
  stampedResults: false,
  structuredContent: 'none',
  titles: false,
  icons: false,
  annotations: false,
  elicitation: 'none',
  ssePolling: false,
  resourceNotFoundCode: -32002,
});
export const REVISION_2025_03_26 = row(1, '2025-03-26', {
  era: 'session',
  batching: true,
  stampedResults: false,
  structuredContent: 'none',
  titles: false,
  icons: false,
  annotations: true,
  elicitation: 'none',
  ssePolling: false,
  resourceNotFoundCode: -32002,
});
export const REVISION_2025_06_18 = row(2, '2025-06-18', {
  era: 'session',
  batching: false,
  stampedResults: false,
  structuredContent: 'object',
  titles: true,
  icons: false,
  annotations: true,
  elicitation: 'form',
  ssePolling: false,
  resourceNotFoundCode: -32002,
});
export const REVISION_2025_11_25 = row(3, '2025-11-25', {
  era: 'session',
  batching: false,
  stampedResults: false,
  structuredContent: 'object',
  titles: true,
  icons: true,
  annotations: true,
  elicitation: 'url',
  ssePolling: true,
  resourceNotFoundCode: -32002,
});
export const REVISION_2026_07_28 = row(4, '2026-07-28', {
  era: 'stateless',
  batching: false,
  stampedResults: true,
  structuredContent: 'any',
  titles: true,
  icons: true,
  annotations: true,
  elicitation: 'url',
  ssePolling: false,
  resourceNotFoundCode: -32602,
});

/** Oldest first; `REVISIONS[r.index] === r`. */
export const REVISIONS: readonly Revision[] = Object.freeze([
  REVISION_2024_11_05,
  REVISION_2025_03_26,
  REVISION_2025_06_18,
  REVISION_2025_11_25,
  REVISION_2026_07_28,
]);

/** What a session is offered when the client asks for a revision that has no sessions or is unknown. */
export const LATEST_SESSION_REVISION = REVISION_2025_11_25;

/** `supportedVersions` of `server/discover` and of error -32022. */
export const STATELESS_REVISIONS: readonly string[] = REVISIONS.filter((r) => r.era === 'stateless').map((r) => r.name);

const byName = new Map(REVISIONS.map((revision) => [revision.name, revision]));

/** The row of a version string, or `undefined` when millrace does not speak it. */
export function revisionNamed(name: string): Revision | undefined {
  return byName.get(name);
}

/** Date-shaped version strings from 2026-07-28 on claim the stateless era, whether spoken here or not. */
export function claimsStatelessEra(name: string): boolean {
  return name >= '2026-07-28';
}
