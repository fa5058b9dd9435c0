/**
 * CORS: what an allowed browser origin needs to use the server. Origins that are not allowed never get here.
 *
 * Source: the Fetch standard, CORS protocol; header names from the Model Context Protocol's HTTP binding.
 */
import type { HeaderPairs } from './port.ts';

const PREFLIGHT_SECONDS = '600';

export function crossOriginHeaders(origin: string): HeaderPairs {
  return [
    ['Access-Control-Allow-Origin', origin],
    ['Vary', 'Origin'],
    ['Access-Control-Expose-Headers', 'Mcp-Session-Id, WWW-Authenticate, Retry-After'],
  ];
}

/** Answer to a preflight. `requested` is what the browser wants to send: names only, and they harm nobody. */
export function preflightHeaders(requested: string): HeaderPairs {
  return [
    ['Access-Control-Allow-Methods', 'GET, POST, DELETE'],
    ['Access-Control-Allow-Headers', requested === '' ? '*' : requested],
    ['Access-Control-Max-Age', PREFLIGHT_SECONDS],
  ];
}
