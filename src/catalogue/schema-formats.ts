/**
 * The string formats that schemas may assert, each with a length past which a string cannot be one.
 *
 * Role: keeps format checks cheap whatever the caller sends. The expressions come from ajv-formats and are not all
 * linear (`url` backtracks); with the lengths below each check stays under a few milliseconds, which
 * `test/catalogue/schema-formats.test.ts` measures with hostile strings.
 * Formats are asserted, not only noted: an author who writes `"format": "email"` expects a refusal. Unknown formats are
 * annotations. `regex` compiles the given text, and never runs it.
 */
import type { Ajv } from 'ajv';
import { fullFormats } from 'ajv-formats/dist/formats.js';

/** Characters. Longer strings do not have the format. */
export const FORMAT_CHARS_MAX: Readonly<Record<string, number>> = {
  date: 64,
  time: 64,
  'date-time': 64,
  'iso-time': 64,
  'iso-date-time': 64,
  duration: 256,
  email: 512,
  hostname: 254,
  ipv4: 64,
  ipv6: 64,
  uuid: 64,
  uri: 8192,
  'uri-reference': 8192,
  'uri-template': 4096,
  url: 1024,
  regex: 4096,
  'json-pointer': 8192,
  'json-pointer-uri-fragment': 8192,
  'relative-json-pointer': 8192,
};

/** Numbers of OpenAPI, bounded by nature; `byte` is linear. */
const UNCAPPED = ['int32', 'int64', 'float', 'double', 'byte', 'password', 'binary'] as const;

/** The check of a format as a function, for strings of any length. Undefined when there is none of that name. */
export function formatCheck(name: string): ((text: string) => boolean) | undefined {
  const charsMax = FORMAT_CHARS_MAX[name];
  const check = charsMax === undefined ? null : bareCheck(fullFormats[name as keyof typeof fullFormats]);
  if (check === null || charsMax === undefined) return undefined;
  return (text) => text.length <= charsMax && check(text);
}

function bareCheck(format: unknown): ((text: string) => boolean) | null {
  if (format instanceof RegExp) return (text) => format.test(text);
  if (typeof format === 'function') return format as (text: string) => boolean;
  if (typeof format === 'object' && format !== null && 'validate' in format) return bareCheck(format.validate);
  return null;
}

/** Gives an ajv instance (of any dialect) the formats above. */
export function addFormats(ajv: Pick<Ajv, 'addFormat'>): void {
  for (const name of Object.keys(FORMAT_CHARS_MAX)) {
    const check = formatCheck(name);
    if (check !== undefined) ajv.addFormat(name, { type: 'string', validate: check });
  }
  for (const name of UNCAPPED) ajv.addFormat(name, fullFormats[name]);
}
