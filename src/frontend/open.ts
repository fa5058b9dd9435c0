/**
 * Chooses and opens the front end: uWebSockets.js where a native build loads, else node:http.
 *
 * Role: the only place that knows both adapters; the one that is not used is not loaded. `auto` never fails for a missing
 * native module; `uws` does, and says what was tried.
 */
import type { Log } from '../observe/port.ts';
import type { FrontEnd, FrontEndOptions, HttpHandler, MessageRoute } from './port.ts';
import { loadNative } from './uws/load.ts';

export async function openFrontEnd(
  kind: 'uws' | 'node' | 'auto',
  options: FrontEndOptions,
  http: HttpHandler,
  messages: MessageRoute,
  log: Log,
): Promise<FrontEnd> {
  const openNode = async (why: string): Promise<FrontEnd> => {
    const node = await import('./node/front-end.ts');
    return announce(await node.openNode(options, http, messages, log), why, log);
  };
  if (kind === 'node') return openNode('asked for');
  const loaded = loadNative(options.limits.headerBytesMax);
  if ('native' in loaded) {
    const why = kind === 'uws' ? 'asked for' : 'native module loads';
    const { openUws } = await import('./uws/front-end.ts');
    return announce(await openUws(loaded, options, http, messages, log), why, log);
  }
  const reasons = loaded.reasons.join('; ');
  if (kind === 'uws') throw new Error(`no build of uWebSockets.js loads here: ${reasons}`);
  return openNode(`uWebSockets.js does not load: ${reasons}`);
}

function announce(front: FrontEnd, why: string, log: Log): FrontEnd {
  log.info({ frontend: front.kind, build: front.description, why }, 'front end open');
  return front;
}
