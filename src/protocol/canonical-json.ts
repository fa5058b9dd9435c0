/**
 * One text for all JSON texts that mean the same, and digests of such texts.
 *
 * Role: what calls are compared by: keys of cached results, fingerprints of repeated calls. Members are sorted by
 * UTF-16 code units; numbers are written as JavaScript reads them, since that is what a tool is given. Values come from
 * `parseJson`, so their depth is bounded.
 */
import { createHash } from 'node:crypto';

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const object = value as Record<string, unknown>;
  const members = Object.keys(object)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(object[name])}`);
  return `{${members.join(',')}}`;
}

/** Of all parts, so that no two different lists of parts have one digest. 43 characters of base64url. */
export function digestOf(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest('base64url');
}
