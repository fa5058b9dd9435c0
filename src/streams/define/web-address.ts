/**
 * Addresses that results and alerts are sent to, and the headers they are sent with: what HTTP can carry.
 *
 * Role: for the schema of definitions and the options of connectors. What passes here and cannot be written would be lost
 * call by call, long after it was declared.
 */

export const WEB_ADDRESS = 'an http or https address without user and password: headers can say who calls';
export const WEB_HEADERS = 'header names and texts as HTTP can carry them, none that say how the body is sent';

/** Whoever sends a body sets these; calls with others fail for ever. */
const OF_SENDING: readonly string[] = ['content-length', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade'];

export function isWebAddress(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { password, protocol, username } = new URL(address);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

export function areWebHeaders(headers: Readonly<Record<string, string>>): boolean {
  try {
    const all = new Headers(headers);
    return !OF_SENDING.some((name) => all.has(name));
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
