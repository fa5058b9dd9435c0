/**
 * Reads options of sinks and sources: each with its type and its bounds, and an error that names the connector.
 */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { DefinitionProblem } from './define/definition-problem.ts';
import { areWebHeaders, isWebAddress, WEB_ADDRESS, WEB_HEADERS } from './define/web-address.ts';

type Options = Readonly<Record<string, unknown>>;

/** Options that do something only beside others: declared without, they are refused. */
export interface OptionNeed {
  readonly options: readonly string[];
  /** Whether they do something. The options were checked one by one. */
  readonly isMet: (options: Options) => boolean;
  /** `speed above 0 beside it` */
  readonly expected: string;
}

/** Where a path of a declaration is: it begins at the folder of the file that the declaration was read from. */
export type FileAt = (path: string) => string;

/** Of a declaration that was read from no file. */
export const inWorkingDirectory: FileAt = (path) => resolve(path);

/** Of a certificate authority. */
export const TLS_NEED: OptionNeed = {
  options: ['tlsCaFile'],
  isMet: ({ url }) => String(url).startsWith('rediss:'),
  expected: 'a url that begins with rediss: beside it',
};

function refuse(name: string, option: string, value: unknown, expected: string): never {
  throw DefinitionProblem.of(`${name}.${option}`, value, expected);
}

/** Text that must be there. */
export function requiredText(options: Options, name: string, option: string): string {
  const value = options[option];
  if (typeof value === 'string' && value !== '' && value.length <= 4096) return value;
  return refuse(name, option, value, 'a text of 1 to 4096 characters');
}

export function optionalText(options: Options, name: string, option: string, otherwise: string): string {
  return options[option] === undefined ? otherwise : requiredText(options, name, option);
}

/** Where a file is that is there; `''`: none. */
export function optionalFile(options: Options, name: string, option: string, fileAt: FileAt): string {
  const path = optionalText(options, name, option, '');
  if (path === '') return '';
  const file = fileAt(path);
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    const why = error instanceof Error ? error.message.split(':', 1)[0] : '';
    return refuse(name, option, path, `a file that can be read (${why})`);
  }
  return file;
}

export function optionalNumber(
  options: Options,
  name: string,
  option: string,
  otherwise: number,
  min: number,
  max: number,
): number {
  const value = options[option];
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  return refuse(name, option, value, `a number from ${min} to ${max}`);
}

export function optionalHeaders(options: Options, name: string, option: string): Readonly<Record<string, string>> {
  const value = options[option];
  if (value === undefined) return {};
  const entries = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length > 0 && entries.every(([, text]) => typeof text === 'string')) {
    const headers = Object.fromEntries(entries) as Record<string, string>;
    return areWebHeaders(headers) ? headers : refuse(name, option, value, WEB_HEADERS);
  }
  return refuse(name, option, value, 'an object of header names and texts');
}

/** A choice; the first is the default. */
export function optionalChoice<const T extends readonly [string, ...string[]]>(
  options: Options,
  name: string,
  option: string,
  choices: T,
): T[number] {
  const value = options[option] ?? choices[0];
  if (choices.includes(value as string)) return value as T[number];
  return refuse(name, option, value, `one of ${choices.join(', ')}`);
}

const LISTED_MAX = 1000;

/** A list of texts. Default none. */
export function optionalTexts(options: Options, name: string, option: string): readonly string[] {
  const value = options[option];
  if (value === undefined) return [];
  const listed = Array.isArray(value) && value.length <= LISTED_MAX;
  if (listed && value.every((text) => typeof text === 'string' && text !== '' && text.length <= 4096)) return value;
  return refuse(name, option, value, `a list of at most ${LISTED_MAX} texts`);
}

/** A whole number. */
export function optionalInteger(
  options: Options,
  name: string,
  option: string,
  otherwise: number,
  min: number,
  max: number,
): number {
  const value = optionalNumber(options, name, option, otherwise, min, max);
  return Number.isInteger(value) ? value : refuse(name, option, value, `a whole number from ${min} to ${max}`);
}

/** An address that is wrong, unless it may hold a password. */
function refuseAddress(name: string, option: string, address: string, expected: string): never {
  if (!address.includes('@')) refuse(name, option, address, expected);
  const value = 'a text (not shown)';
  throw new DefinitionProblem([{ path: `${name}.${option}`, value, expected, suggestion: null }]);
}

/** `redis://…` or `rediss://…`. */
export function redisUrl(options: Options, name: string): string {
  const url = requiredText(options, name, 'url');
  if (/^rediss?:\/\/[^/]/.test(url) && URL.canParse(url)) return url;
  return refuseAddress(name, 'url', url, 'redis://host:port or rediss://host:port');
}

/** `http://…` or `https://…`. */
export function httpUrl(options: Options, name: string, option: string): string {
  const url = requiredText(options, name, option);
  if (/^https?:\/\/[^/]/.test(url) && isWebAddress(url)) return url;
  return refuseAddress(name, option, url, WEB_ADDRESS);
}
