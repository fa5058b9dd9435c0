/**
 * The command line of `npm run bench`: flags, and a file with the same names, to a plan and what to do with its result.
 *
 * Role: values are judged once, here; a problem names the flag, the value and what is allowed. A flag wins over the
 * file. `--target` loads a server that is already running and leaves the suite out.
 */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CLIENTS, type ClientName } from './load/job.ts';
import type { Plan } from './scenarios/scenario.ts';
import { MODERN } from './wire/messages.ts';

const MS_MAX = 24 * 3600 * 1000;
const ERAS = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'];
export const PEERS = ['go', 'rust'] as const;
export type PeerName = (typeof PEERS)[number];

export interface TargetOptions {
  readonly url: string;
  readonly era: string;
  /** Empty: `tools/list`. */
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  /** Text every good answer has. */
  readonly expect: string;
  /** 0: closed loop. */
  readonly ratePerSecond: number;
  /** Of a server on this machine whose CPU and memory are to be read; 0: none. */
  readonly pid: number;
}

export interface BenchOptions {
  readonly plan: Plan;
  /** Empty: all that are not opt-in. */
  readonly scenarios: readonly string[];
  readonly target: TargetOptions | null;
  readonly jsonFile: string;
  readonly htmlFile: string;
  /** For millrace's own processes. */
  readonly serverNodeFlags: readonly string[];
  /** For a machine that checks changes: gross regressions fail the run, missed targets do not. */
  readonly gate: boolean;
  readonly help: boolean;
}

const FLAGS = {
  quick: { type: 'boolean' },
  gate: { type: 'boolean' },
  scenario: { type: 'string' },
  variant: { type: 'string' },
  target: { type: 'string' },
  era: { type: 'string' },
  tool: { type: 'string' },
  args: { type: 'string' },
  token: { type: 'string' },
  header: { type: 'string', multiple: true },
  expect: { type: 'string' },
  pid: { type: 'string' },
  rate: { type: 'string' },
  connections: { type: 'string' },
  duration: { type: 'string' },
  warmup: { type: 'string' },
  rounds: { type: 'string' },
  workers: { type: 'string' },
  client: { type: 'string' },
  peers: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  config: { type: 'string' },
  'server-node-flag': { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
} as const;

export const HELP = `npm run bench -- [flags]

  --quick                 every scenario once and short, under a minute: for errors and gross regressions
  --gate                  fail for errors and gross regressions, not for missed targets
  --scenario NAME[,NAME]  only these
  --variant PART[,PART]   only variants with one of these in their name
  --peers go,rust         also peers built with these toolchains
  --target URL            load a server that is running instead
      --era REVISION      2026-07-28 (default), 2025-11-25, 2025-06-18, 2025-03-26
      --tool NAME         tool to call (default: tools/list)   --args JSON or @FILE
      --token TOKEN       bearer token                         --header 'Name: value' (repeatable)
      --expect TEXT       text every good answer has           --pid N  read its CPU and memory
  --rate N                open loop: requests per second       --connections N
  --duration SECONDS      measured, per round                  --warmup SECONDS   --rounds N
  --client auto|wrk|autocannon|own                             --workers N
  --json FILE             everything that was measured         --html FILE   one page with curves
  --config FILE           these flags as JSON                  --server-node-flag FLAG (repeatable)
`;

/** Of a server that is running, and of the suite, which `--target` leaves out. */
const TARGET_FLAGS = ['era', 'tool', 'args', 'token', 'header', 'expect', 'pid'];
const SUITE_FLAGS = ['scenario', 'variant', 'peers', 'workers', 'server-node-flag'];

/** Several values, with commas or, in a file, as a list. */
const LIST_FLAGS: readonly string[] = ['scenario', 'variant', 'peers', 'header', 'server-node-flag'];

/** A header's name and value (RFC 9110, section 5), without bytes that clients send differently. */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;
/** What every request has of its own. */
const OWN_HEADERS = ['host', 'content-length', 'transfer-encoding'];

const SECRET_FLAGS = ['--token', '--header'];

/** As a shell reads it back. */
const quoted = (arg: string): string => (/^[\w.,:/@%+=-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`);

/** The command as it may stand in a report: to be given again, but without what tokens and headers say. */
export function shownCommand(args: readonly string[]): string {
  const shown = args.map((arg, at) => {
    if (SECRET_FLAGS.includes(args[at - 1] ?? '')) return '…';
    const flag = SECRET_FLAGS.find((secret) => arg.startsWith(`${secret}=`));
    return flag === undefined ? quoted(arg) : `${flag}=…`;
  });
  return ['npm run bench --', ...shown].join(' ');
}

type Given = Readonly<Record<string, unknown>>;

/** What would be left out silently. */
function refuseIdle(given: Given, isSuite: boolean, problems: string[]): void {
  for (const name of isSuite ? TARGET_FLAGS : SUITE_FLAGS) {
    if (given[name] !== undefined) problems.push(`--${name}: ${isSuite ? 'only' : 'not'} with --target`);
  }
  for (const [name, { type }] of Object.entries(FLAGS)) {
    const value = given[name];
    if (value === undefined) continue;
    const wrong = type === 'boolean' ? notBoolean(value) : notText(name, value);
    if (wrong !== null) problems.push(`--${name}${wrong}`);
  }
  const { args, html, json, tool } = given;
  if (args !== undefined && tool === undefined) problems.push('--args: only with --tool');
  if (typeof json === 'string' && typeof html === 'string' && resolve(json) === resolve(html)) {
    problems.push(`--html ${html}: that is --json's file`);
  }
}

const notBoolean = (value: unknown): string | null =>
  typeof value === 'boolean' ? null : ` ${String(value)}: true or false`;

/** An empty value is what a shell makes of a variable that is not set. */
function notText(name: string, value: unknown): string | null {
  if (name === 'args' && typeof value === 'object' && value !== null) return null;
  const values: readonly unknown[] = Array.isArray(value) && LIST_FLAGS.includes(name) ? value : [value];
  const wrong = values.find((one) => typeof one !== 'string' && typeof one !== 'number');
  if (wrong !== undefined) return ` ${JSON.stringify(wrong)}: text or a number`;
  return values.some((one) => /^[\s,]*$/.test(String(one))) ? ': give a value' : null;
}

export function parseOptions(
  args: readonly string[],
  readFile: (path: string) => string,
): { readonly options: BenchOptions } | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const given = gather(args, readFile, problems);
  const read = new Reader(given, problems);
  const targetUrl = read.text('target');
  refuseIdle(given, targetUrl === '', problems);
  const quick = given['quick'] === true;
  const plan = readPlan(read, quick);
  const options: BenchOptions = {
    plan,
    scenarios: read.list('scenario'),
    target: targetUrl === '' ? null : readTarget(read, targetUrl, plan, readFile, problems),
    jsonFile: read.text('json'),
    htmlFile: read.text('html'),
    serverNodeFlags: read.texts('server-node-flag'),
    gate: given['gate'] === true,
    help: given['help'] === true,
  };
  return problems.length === 0 ? { options } : { problems };
}

function gather(args: readonly string[], readFile: (path: string) => string, problems: string[]): Given {
  try {
    const { values } = parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false });
    if (values.config === undefined) return values;
    const fromFile = jsonOf(values.config, readFile);
    if (typeof fromFile !== 'object' || fromFile === null || Array.isArray(fromFile)) {
      problems.push(`--config ${values.config}: not a JSON object`);
      return values;
    }
    const unknown = Object.keys(fromFile).filter((name) => !Object.hasOwn(FLAGS, name));
    for (const name of unknown) problems.push(`--config ${values.config}: there is no flag ${name}`);
    return { ...fromFile, ...values };
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return {};
  }
}

/** Throws with the name of the file. */
function jsonOf(file: string, readFile: (path: string) => string): unknown {
  try {
    return JSON.parse(readFile(file));
  } catch (cause) {
    throw new Error(`--config ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function readPlan(read: Reader, quick: boolean): Plan {
  const cores = availableParallelism();
  const client = read.choice<ClientName>('client', CLIENTS, 'auto');
  return {
    quick,
    wholeSuite: read.list('scenario').length === 0,
    rounds: read.number('rounds', quick ? 1 : 3, 1, 100, true),
    warmupMs: read.number('warmup', quick ? 0.3 : 0.7, 0, MS_MAX / 1000, false) * 1000,
    saturatedWarmupMs: read.number('warmup', quick ? 1.5 : 2, 0, MS_MAX / 1000, false) * 1000,
    durationMs: read.number('duration', quick ? 0.7 : 1.5, 0.05, MS_MAX / 1000, false) * 1000,
    connections: read.number('connections', 64, 1, 15_000, true),
    ratePerSecond: read.number('rate', 10_000, 0.1, 10_000_000, false),
    client,
    workers: read.number('workers', Math.max(1, cores - 1), 1, 512, true),
    peers: read.choices<PeerName>('peers', PEERS),
    variants: read.list('variant'),
  };
}

function readTarget(
  read: Reader,
  url: string,
  plan: Plan,
  readFile: (path: string) => string,
  problems: string[],
): TargetOptions {
  if (!URL.canParse(url) || !/^https?:/i.test(url)) problems.push(`--target ${url}: not an http or https URL`);
  else if (new URL(url).username !== '' || new URL(url).password !== '') {
    problems.push('--target: give credentials as --token or --header, not in the URL');
  }
  const headers = readHeaders(read, problems);
  return {
    url,
    era: read.choice('era', ERAS, MODERN),
    tool: read.text('tool'),
    args: readArgs(read, readFile, problems),
    headers,
    expect: read.text('expect'),
    ratePerSecond: read.has('rate') ? plan.ratePerSecond : 0,
    pid: read.number('pid', 0, 0, 2 ** 31, true),
  };
}

/** Values are not told: they may be secrets. */
function readHeaders(read: Reader, problems: string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  const add = (flag: string, name: string, value: string): void => {
    if (!HEADER_NAME.test(name)) problems.push(`${flag}: not the name of a header`);
    else if (!HEADER_VALUE.test(value)) problems.push(`${flag}: a value of one line in ASCII`);
    else if (OWN_HEADERS.includes(name)) problems.push(`${flag}: every request has its own`);
    else if (Object.hasOwn(headers, name)) problems.push(`${flag}: ${name} is given twice`);
    else headers[name] = value;
  };
  for (const header of read.texts('header')) {
    const colon = header.indexOf(':');
    const name = header.slice(0, Math.max(0, colon)).trim();
    if (colon < 1) problems.push(`--header ${header}: give 'Name: value'`);
    else add(`--header ${name}`, name.toLowerCase(), header.slice(colon + 1).trim());
  }
  const token = read.text('token');
  if (token !== '') add('--token', 'authorization', `Bearer ${token}`);
  return headers;
}

/** JSON in the flag, JSON in a file, or an object in the configuration file. */
function readArgs(read: Reader, readFile: (path: string) => string, problems: string[]): Record<string, unknown> {
  const given = read.raw('args');
  try {
    const text = typeof given === 'string' ? given : '';
    const value: unknown =
      typeof given === 'object' && given !== null
        ? given
        : JSON.parse(text === '' ? '{}' : text.startsWith('@') ? readFile(text.slice(1)) : text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    problems.push(`--args ${text}: not a JSON object`);
  } catch (error) {
    problems.push(`--args ${String(given)}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {};
}

class Reader {
  readonly #given: Given;
  readonly #problems: string[];

  constructor(given: Given, problems: string[]) {
    this.#given = given;
    this.#problems = problems;
  }

  raw(name: string): unknown {
    return this.#given[name];
  }

  has(name: string): boolean {
    return this.#given[name] !== undefined;
  }

  text(name: string): string {
    const value = this.#given[name];
    return value === undefined ? '' : String(value);
  }

  texts(name: string): string[] {
    const value = this.#given[name];
    return value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(String);
  }

  list(name: string): string[] {
    return this.texts(name)
      .flatMap((text) => text.split(','))
      .map((part) => part.trim())
      .filter((part) => part !== '');
  }

  choice<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const text = this.text(name);
    const found = allowed.find((candidate) => candidate === text);
    if (text !== '' && found === undefined) this.#problems.push(`--${name} ${text}: one of ${allowed.join(', ')}`);
    return found ?? fallback;
  }

  choices<T extends string>(name: string, allowed: readonly T[]): T[] {
    return this.list(name).flatMap((text) => {
      const found = allowed.find((candidate) => candidate === text);
      if (found === undefined) this.#problems.push(`--${name} ${text}: of ${allowed.join(', ')}`);
      return found ?? [];
    });
  }

  number(name: string, fallback: number, least: number, most: number, whole: boolean): number {
    const text = this.text(name);
    if (text === '') return fallback;
    const value = Number(text);
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
      this.#problems.push(`--${name} ${text}: a ${whole ? 'whole ' : ''}number from ${least} to ${most}`);
    }
    return value;
  }
}
