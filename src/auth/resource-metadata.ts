/**
 * The protected-resource metadata document: what tells an MCP client which authorization servers issue tokens for this
 * server. Published only when `resource` and at least one authorization server are configured.
 *
 * Served at the root form, under `/mcp`, and under the path that `resource` has outside (behind a proxy that may be
 * another). The bytes are made once.
 * Source: RFC 9728 sections 2 and 3.
 */
import type { AuthSettings } from '../config/settings.ts';
import type { HeaderPairs } from '../frontend/port.ts';
import { JSON_TYPE, refuseMethod } from '../frontend/refusal.ts';
import type { Endpoint } from '../frontend/router.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const MCP_PATH = '/mcp';
const HEADERS: HeaderPairs = [['Cache-Control', 'public, max-age=3600']];

export interface ResourceMetadata {
  readonly paths: readonly string[];
  readonly endpoint: Endpoint;
}

/** Null when it is not published. */
export function resourceMetadata(settings: AuthSettings): ResourceMetadata | null {
  if (metadataUrl(settings) === '') return null;
  const document = JSON.stringify({
    resource: settings.resource,
    authorization_servers: settings.authorizationServers,
    ...(settings.scopesSupported.length > 0 && { scopes_supported: settings.scopesSupported }),
    bearer_methods_supported: ['header'],
  });
  const paths = new Set([WELL_KNOWN, WELL_KNOWN + MCP_PATH, WELL_KNOWN + pathOf(settings.resource)]);
  const endpoint: Endpoint = {
    head(head, reply) {
      if (head.method === 'GET' || head.method === 'HEAD') reply.send(200, JSON_TYPE, document, HEADERS);
      else refuseMethod(reply, 'GET, HEAD');
      return null;
    },
  };
  return { paths: [...paths], endpoint };
}

/** Where a client outside finds the document; `''` when it is not published. */
export function metadataUrl(settings: AuthSettings): string {
  if (settings.authorizationServers.length === 0 || !URL.canParse(settings.resource)) return '';
  return new URL(settings.resource).origin + WELL_KNOWN + pathOf(settings.resource);
}

/** Path of the resource, `''` for the root. */
function pathOf(resource: string): string {
  const path = new URL(resource).pathname;
  return path === '/' ? '' : path;
}
