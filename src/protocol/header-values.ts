// HOT PATH
/**
 * Values that 2026-07-28 mirrors from the body into headers: how they are encoded, and whether they agree.
 *
 * Role: `Mcp-Name` and the `Mcp-Param-*` headers of tool arguments annotated with `x-mcp-header`. A value that is not
 * safe in a header travels as `=?base64?…?=`. The encoding is checked strictly: Node's own base64 decoder takes
 * anything, and two readers of one header must not see two values.
 * Source: Model Context Protocol 2026-07-28, Streamable HTTP (custom headers, value encoding).
 */
import { Buffer, isUtf8 } from 'node:buffer';
import type { ParamHeader } from '../catalogue/entry.ts';
import { type Fault, fault } from './faults.ts';
import { isJsonObject } from './message-shape.ts';

const PREFIX = '=?base64?';
const SUFFIX = '?=';

/** The value a header stands for, or null when it is not a valid encoding of any. */
export function decodeHeaderValue(raw: string): string | null {
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return null;
  }
  if (!raw.startsWith(PREFIX) || !raw.endsWith(SUFFIX) || raw.length < PREFIX.length + SUFFIX.length) return raw;
  const encoded = raw.slice(PREFIX.length, -SUFFIX.length);
  const bytes = Buffer.from(encoded, 'base64');
  // Only the one canonical spelling of these bytes comes back unchanged.
  if (bytes.toString('base64') !== encoded || !isUtf8(bytes)) return null;
  return bytes.toString('utf8');
}

/** Compares a tool's `Mcp-Param-*` headers (lower-case name → raw value) with its arguments. */
export function checkParamHeaders(
  paramHeaders: readonly ParamHeader[],
  headers: Readonly<Record<string, string>>,
  args: unknown,
): Fault | null {
  for (let i = 0; i < paramHeaders.length; i++) {
    const wanted = paramHeaders[i] as ParamHeader;
    const raw = Object.hasOwn(headers, wanted.header) ? (headers[wanted.header] as string) : '';
    const reason = contradiction(raw, valueAt(args, wanted.path));
    if (reason !== '') return fault('headerMismatch', `the ${wanted.header} header ${reason}`);
  }
  return null;
}

function valueAt(args: unknown, path: readonly string[]): unknown {
  let value = args;
  for (let i = 0; i < path.length; i++) {
    const name = path[i] as string;
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** `''` when header and argument agree. An absent header and an empty one look alike. */
function contradiction(raw: string, value: unknown): string {
  if (value === undefined || value === null) return raw === '' ? '' : 'has no argument to agree with';
  if (raw === '') return value === '' ? '' : 'is missing';
  const decoded = decodeHeaderValue(raw);
  if (decoded === null) return 'is not a valid encoded value';
  return agrees(decoded, value) ? '' : 'differs from the argument';
}

function agrees(decoded: string, value: unknown): boolean {
  if (typeof value === 'string') return decoded === value;
  if (typeof value === 'boolean') return decoded === (value ? 'true' : 'false');
  // `42.0` and `42` are one number; `0x2a`, ` 42` and '' are none.
  return typeof value === 'number' && isDecimal(decoded) && Number(decoded) === value;
}

function isDecimal(text: string): boolean {
  const start = text.charCodeAt(0) === 0x2d ? 1 : 0;
  let dots = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e && i > start && i < text.length - 1) dots += 1;
    else if (code < 0x30 || code > 0x39) return false;
  }
  return text.length > start && dots <= 1;
}
