/**
 * Small choices of the hot path, each beside what it replaced, in one process: what a call leads to by its headers, one
 * text as a result, the view of a result on the board, the body of a call.
 *
 * Run: node dist/bench/micro/small-readings.js
 */
import { Buffer } from 'node:buffer';
import type { Catalogue, Entry } from '../../src/catalogue/entry.ts';
import { JobBoard } from '../../src/dispatch/job-board.ts';
import { parseJson } from '../../src/protocol/json.ts';
import { NamedCall, NamedCalls } from '../../src/protocol/named-calls.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import { ResultEncoder } from '../../workers/encode-result.ts';
import { MODERN_CALLER, toolCall } from '../wire/messages.ts';

const CALLS = 1_000_000;
const ROUNDS = 5;
const VERSION = '2026-07-28';
const ACCEPT = 'application/json, text/event-stream';

/** Keeps what is measured from being optimised away. */
let kept: unknown;

function measure(name: string, call: () => unknown): void {
  let bestNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    for (let i = 0; i < CALLS; i++) kept = call();
    bestNs = Math.min(bestNs, ((performance.now() - begun) / CALLS) * 1e6);
  }
  process.stdout.write(`${name.padEnd(44)} ${bestNs.toFixed(0).padStart(5)} ns\n`);
}

const text = 'the quick brown fox jumps over the lazy dog';
const entries = new Map([['echo', { name: 'echo', task: 'never' } as unknown as Entry]]);
const catalogue = { tool: (name: string) => entries.get(name) } as unknown as Catalogue;
/** Fresh strings, as a parser makes them. */
const fresh = (value: string): string => Buffer.from(value).toString('latin1');
const head = {
  method: 'POST',
  path: '/mcp',
  query: '',
  header: (name: string): string => {
    if (name === 'mcp-method') return fresh('tools/call');
    return fresh(name === 'mcp-name' ? 'echo' : ACCEPT);
  },
};
const calls = new NamedCalls();
measure('headers of a call, remembered', () => calls.read(catalogue, head, VERSION));
measure('headers of a call, read anew', () => {
  const [method, name, accept] = [head.header('mcp-method'), head.header('mcp-name'), head.header('accept')];
  return new NamedCall(catalogue, VERSION, method, name, accept);
});

const encoder = new ResultEncoder({ name: 'millrace', version: '0' });
const sole = { content: [{ type: 'text' as const, text }] };
const annotated = { content: [{ type: 'text' as const, text, annotations: { priority: 1 } }] };
measure('one text as a result', () => encoder.toolResult('1', REVISION_2026_07_28, sole));
measure('the same, encoded as an object', () => encoder.toolResult('1', REVISION_2026_07_28, annotated));

const board = JobBoard.create(1, 64);
board.finish(3, 200, 0, 240);
const at = board.resultAt(3);
measure('view of a result as long as the last', () => board.result(3));
measure('view of a result, made anew', () => board.bytes.subarray(at, at + 240));

const body = Buffer.from(toolCall(MODERN_CALLER, 'echo', { text }, 1).body);
measure('body of a call, checked and parsed', () => parseJson(body));
measure('JSON.parse of the same text', () => JSON.parse(body.toString('utf8')));
if (kept === null) process.exitCode = 1;
