/**
 * What a listening address means and how it is written in a URL. Pure text, no look-up.
 */

/** True for addresses that stand for every interface. */
export function isEveryInterface(host: string): boolean {
  const name = unbracketed(host);
  return name === '0.0.0.0' || name === '::';
}

/** The host part of a URL: IPv6 addresses in brackets. */
export function inUrl(host: string): string {
  const name = unbracketed(host);
  return name.includes(':') ? `[${name}]` : name;
}

function unbracketed(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
