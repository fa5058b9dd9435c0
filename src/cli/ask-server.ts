/**
 * Asks a running server over HTTP: the part that `status` and `streams` have in common.
 *
 * What comes back is another process' text: it is bounded in time and size, checked for shape by who asked, and its
 * control characters are taken out before it reaches the terminal (`plain`, `printableJson`).
 * Whatever keeps an answer from coming is a text that says why, never an exception.
 */
import type { CommandLine } from './command-line.ts';
import { type Terminal, writeProblems } from './terminal.ts';

const DEFAULT_URL = 'http://127.0.0.1:8080';

/** C0 and C1 control characters. */
const CONTROL = /\p{Cc}/gu;
/** Those of them that may stand in a JSON text as they are. */
const UNESCAPED_IN_JSON = /[\u007f-\u009f]/g;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface Question {
  readonly url: URL;
  readonly answerMsMax: number;
  readonly answerBytesMax: number;
  /** Other statuses are told as a problem. */
  readonly expects: (status: number) => boolean;
  /** Sent as JSON with `POST`; without it the question is a `GET`. */
  readonly order?: object;
  /** Bearer token; `''`: none. */
  readonly token?: string;
}

/** The server that `--url` names; null when that is no web address, which has been said then. */
export function serverNamed(line: CommandLine, terminal: Terminal): URL | null {
  const given = line.own.get('url');
  const written = typeof given === 'string' ? given : DEFAULT_URL;
  if (URL.canParse(written) && /^https?:$/.test(new URL(written).protocol)) return new URL(written);
  writeProblems(terminal, [`--url ${written}: must be an http:// or https:// URL`]);
  return null;
}

/** The JSON a path answers with, or why there is none. */
export async function ask(question: Question): Promise<Answer | string> {
  const { answerBytesMax, answerMsMax, expects, url } = question;
  try {
    const signal = AbortSignal.timeout(answerMsMax);
    const response = await fetch(url, { ...requestOf(question), signal, redirect: 'error' });
    const text = await boundedText(response, answerBytesMax);
    if (text === null) return `${url.pathname} answers with more than ${answerBytesMax} bytes`;
    if (!expects(response.status)) return `${url.pathname} answers ${response.status}`;
    return { status: response.status, body: JSON.parse(text) as unknown };
  } catch (error) {
    return reasonOf(error, question);
  }
}

function requestOf({ order, token = '' }: Question): RequestInit {
  const headers: Record<string, string> = {};
  if (token !== '') headers['authorization'] = `Bearer ${token}`;
  if (order === undefined) return { headers };
  headers['content-type'] = 'application/json';
  return { method: 'POST', headers, body: JSON.stringify(order) };
}

function reasonOf(error: unknown, { answerMsMax, url }: Question): string {
  if (error instanceof SyntaxError) return `${url.pathname} does not answer with JSON`;
  if (!(error instanceof Error)) return 'cannot be asked';
  if (error.name === 'TimeoutError') return `no answer within ${answerMsMax} ms`;
  const cause = error.cause as { code?: string; message?: string } | undefined;
  if (cause?.code === 'ECONNREFUSED') return 'nothing listens there';
  return `cannot be reached (${cause?.code ?? cause?.message ?? error.message})`;
}

async function boundedText(response: Response, bytesMax: number): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > bytesMax) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** A value that is a text, safe to show; `''` for any other. */
export const plain = (value: unknown): string => (typeof value === 'string' ? value.replace(CONTROL, '') : '');

export const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** JSON that says the same and has no control character in it but line ends. */
export function printableJson(value: unknown): string {
  const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `${JSON.stringify(value, null, 2).replace(UNESCAPED_IN_JSON, escaped)}\n`;
}
