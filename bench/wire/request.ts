/**
 * One HTTP request as a load client sends it again and again: made once, its bytes never change.
 *
 * Role: between the scenarios, which say what is asked, and the clients, which only move bytes.
 */

/** Always a POST. */
export interface WireRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The bytes of an HTTP/1.1 request on a connection that stays open. */
export function httpBytes(url: URL, request: WireRequest): Buffer {
  const lines = [`POST ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`];
  for (const [name, value] of Object.entries(request.headers)) lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${Buffer.byteLength(request.body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${request.body}`);
}

/** The bytes that open a stream: a GET. */
export function getBytes(url: URL, headers: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n${lines.join('\r\n')}\r\n\r\n`);
}

/**
 * A WebSocket text frame as clients must send it: masked. The mask is zero, which leaves the payload as it is: masking
 * protects proxies, and there is none here.
 */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  if (length > 65_535) throw new RangeError(`a frame of ${length} bytes: the load client sends at most 65535`);
  const head =
    length < 126 ? Buffer.from([0x81, 0x80 | length]) : Buffer.from([0x81, 0xfe, length >> 8, length & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}
