/**
 * What both adapters agree on when a WebSocket opens or closes.
 *
 * Role: close codes with their reasons, the subprotocol, and the answer to a refused upgrade. Codes: RFC 6455, section
 * 7.4, and the IANA registry (1012, 1013).
 */
import type { Log } from '../observe/port.ts';
import type { MessageHandler, RequestHead } from './port.ts';

export const CLOSE = {
  goingAway: { code: 1001, reason: 'server is stopping' },
  notText: { code: 1003, reason: 'text messages only' },
  tooBig: { code: 1009, reason: 'message is too big' },
  internal: { code: 1011, reason: 'internal error' },
  tooSlow: { code: 1013, reason: 'reader is too slow' },
} as const;

export const SOCKET_VERSION = '13';
/** Quiet connections are pinged, and closed when nothing comes back. */
export const SOCKET_IDLE_SECONDS = 60;

const SUBPROTOCOL = 'mcp';

/** The subprotocol to select from a `Sec-WebSocket-Protocol` header: the one we speak, else none. */
export function selectProtocol(offered: string): string {
  if (offered === '') return '';
  for (const name of offered.split(',')) if (name.trim() === SUBPROTOCOL) return SUBPROTOCOL;
  return '';
}

/** What the handler decides; 500 where it fails. */
export function upgradeBy(
  handler: MessageHandler,
  head: RequestHead,
  log: Pick<Log, 'error'>,
): ReturnType<MessageHandler['upgrade']> {
  try {
    return handler.upgrade(head);
  } catch (cause) {
    log.error({ err: cause }, 'upgrade handler threw');
    return { status: 500, message: 'internal error' };
  }
}
