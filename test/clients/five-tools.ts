/**
 * The five built-in tools as any client may call them: arguments, and what must come back.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/** What clients call a result: their types differ in details that do not matter here. */
interface ToolResult {
  readonly content?: readonly { readonly text?: string }[];
  readonly isError?: boolean;
}

export const FIVE_TOOLS = ['echo', 'fibonacci', 'hash', 'sleep', 'spin'] as const;

const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();

/** Text of the first block. */
export function textOf(result: object): string {
  return (result as ToolResult).content?.[0]?.text ?? '';
}

/** Calls all five, at once, and checks each answer. */
export async function callFiveTools(
  call: (name: string, args: Record<string, unknown>) => Promise<object>,
): Promise<void> {
  const text = 'grüße \u2028 "😀"';
  const [echoed, number, hashed, slept, spun] = await Promise.all([
    call('echo', { text }),
    call('fibonacci', { n: 20 }),
    call('hash', { text: 'abc', rounds: 3 }),
    call('sleep', { ms: 5 }),
    call('spin', { ms: 5 }),
  ]);
  assert.equal(textOf(echoed), text);
  assert.deepEqual(JSON.parse(textOf(number)), { value: 6765 });
  assert.deepEqual(JSON.parse(textOf(hashed)), { hex: sha256(sha256(sha256('abc'))).toString('hex') });
  assert.equal(textOf(slept), 'slept 5 ms');
  assert.equal(textOf(spun), 'spun 5 ms');
  for (const result of [echoed, number, hashed, slept, spun]) assert.notEqual((result as ToolResult).isError, true);
}
