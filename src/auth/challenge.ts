/**
 * The refusals of authentication, built once: status, message for the JSON-RPC error, and the `WWW-Authenticate`
 * challenge that tells a client where to get a token and which scopes it needs.
 *
 * Source: RFC 6750 section 3 (the challenge and its error codes), RFC 9728 section 5.1 (`resource_metadata`).
 */
import type { AuthSettings } from '../config/settings.ts';
import type { AuthRefusal } from '../protocol/authenticator.ts';
import { metadataUrl } from './resource-metadata.ts';

export interface Refusals {
  readonly missing: AuthRefusal;
  readonly invalid: AuthRefusal;
  readonly expired: AuthRefusal;
  /** The token could not be checked now: keys out of reach, or too many checks at once. */
  readonly unavailable: AuthRefusal;
  readonly scope: AuthRefusal;
}

export function refusals(settings: AuthSettings): Refusals {
  const place: string[] = [];
  const url = metadataUrl(settings);
  if (url !== '') place.push(`resource_metadata="${quotable(url)}"`);
  if (settings.requiredScopes.length > 0) place.push(`scope="${quotable(settings.requiredScopes.join(' '))}"`);
  // A challenge has at least one parameter.
  if (place.length === 0) place.push('realm="mcp"');
  const refusal = (status: 401 | 403, message: string, error: string): AuthRefusal => {
    const parameters = error === '' ? place : [`error="${error}"`, ...place];
    return Object.freeze({ status, message, wwwAuthenticate: `Bearer ${parameters.join(', ')}` });
  };
  return {
    missing: refusal(401, 'a bearer token is needed', ''),
    invalid: refusal(401, 'the bearer token is not valid', 'invalid_token'),
    expired: refusal(401, 'the bearer token has expired', 'invalid_token'),
    unavailable: refusal(401, 'the bearer token cannot be checked now, try again', ''),
    scope: refusal(403, 'the bearer token lacks a scope that is needed', 'insufficient_scope'),
  };
}

/** Text that may stand between quotes in a header. */
function quotable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&');
}
