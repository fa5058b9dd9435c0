/**
 * The handshake of the session era: what `initialize` asks, checked, and what it is answered.
 *
 * Role: pure; the same for HTTP, WebSocket and stdio. A revision with sessions that is spoken here is agreed to, any
 * other version string is answered with the latest one, as the revisions demand; the client leaves if it cannot.
 * Invariants: what a session keeps of its client is bounded (`CLIENT_CHARS_MAX`, `CAPABILITIES_CHARS_MAX`), so that
 * sessions are of a size whatever their clients say.
 */
import type { Catalogue } from '../../catalogue/entry.ts';
import type { SessionInit } from '../../sessions/port.ts';
import type { JsonObject } from '../channel.ts';
import { type Fault, fault } from '../faults.ts';
import { isJsonObject } from '../message-shape.ts';
import { LATEST_SESSION_REVISION, type Revision, revisionNamed } from '../revisions.ts';

/** Name and version of a client, each. */
export const CLIENT_CHARS_MAX = 512;
/** Declared capabilities, as JSON. */
export const CAPABILITIES_CHARS_MAX = 4096;

function negotiate(version: string): Revision {
  const asked = revisionNamed(version);
  return asked !== undefined && asked.era === 'session' ? asked : LATEST_SESSION_REVISION;
}

/** The session that `params` of an `initialize` ask for. */
export function readInitialize(params: JsonObject | null, principalId: string | null): SessionInit | Fault {
  const version = params?.['protocolVersion'];
  if (params === null || typeof version !== 'string') return invalid('protocolVersion must be a string');
  const capabilities = params['capabilities'];
  if (!isJsonObject(capabilities)) return invalid('capabilities must be an object');
  if (JSON.stringify(capabilities).length > CAPABILITIES_CHARS_MAX) {
    return invalid(`capabilities may take ${CAPABILITIES_CHARS_MAX} characters`);
  }
  const client = params['clientInfo'];
  if (!isJsonObject(client)) return invalid('clientInfo must be an object');
  const { name, version: clientVersion } = client;
  if (!isShortString(name) || !isShortString(clientVersion)) {
    return invalid(`clientInfo.name and .version must be strings of at most ${CLIENT_CHARS_MAX} characters`);
  }
  return {
    revision: negotiate(version),
    principalId,
    clientCapabilities: capabilities,
    clientInfo: { name, version: clientVersion },
  };
}

export function encodeInitialized(idJson: string, revision: Revision, catalogue: Catalogue): string {
  const { capabilities, serverInfo, instructions } = catalogue.initializeResult(revision);
  const result = { protocolVersion: revision.name, capabilities, serverInfo, instructions };
  return `{"jsonrpc":"2.0","id":${idJson},"result":${JSON.stringify(result)}}`;
}

function isShortString(value: unknown): value is string {
  return typeof value === 'string' && value.length <= CLIENT_CHARS_MAX;
}

function invalid(reason: string): Fault {
  return fault('invalidParams', `initialize: ${reason}`);
}
