/**
 * Chooses and opens the front end: uWebSockets.js where a native build loads, else node:http.
 *
 * Role: the only place that knows both adapters. `auto` never fails for a missing native module; `uws` does, and says
 * what was tried.
 */
import type { Log } from '../observe/port.ts';
import { openNode } from './node/front-end.ts';
import type { FrontEnd, FrontEndOptions, HttpHandler, MessageRoute } from './port.ts';
import { openUws } from './uws/front-end.ts';
import { loadNative } from './uws/load.ts';

export async function openFrontEnd(
  kind: 'uws' | 'node' | 'auto',
  options: FrontEndOptions,
  http: HttpHandler,
  messages: MessageRoute,
  log: Log,
): Promise<FrontEnd> {
  if (kind === 'node') return announce(await openNode(options, http, messages, log), 'asked for', log);
  const loaded = loadNative(options.limits.headerBytesMax);
  if ('native' in loaded) {
    const why = kind === 'uws' ? 'asked for' : 'native module loads';
    return announce(await openUws(loaded, options, http, messages, log), why, log);
  }
  const reasons = loaded.reasons.join('; ');
  if (kind === 'uws') throw new Error(`no build of uWebSockets.js loads here: ${reasons}`);
  return announce(await openNode(options, http, messages, log), `uWebSockets.js does not load: ${reasons}`, log);
}

function announce(front: FrontEnd, why: string, log: Log): FrontEnd {
  log.info({ frontend: front.kind, build: front.description, why }, 'front end open');
  return front;
}
