import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { folderWith } from '../config/sources.ts';
import { asChild, type Child } from './millrace.ts';

interface Message {
  id?: number;
  method?: string;
  result?: { protocolVersion?: string; content?: { text?: string }[] };
}

async function request(child: Child, id: number, method: string, params: object): Promise<Message> {
  child.process.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
  for (;;) {
    const message = JSON.parse(await child.line()) as Message;
    if (message.id === id) return message;
  }
}

const CHATTY = `console.log('loaded');
export const chatty = {
  kind: 'tool', name: 'chatty',
  handler: () => { console.log('called'); process.stdout.write('raw\\n'); return 'quiet'; },
};
export const inline = { ...chatty, name: 'inline', run: 'inline' };
`;

const WAITING = `
export const endless = { kind: 'tool', name: 'endless', task: 'required', handler: () => new Promise(() => {}) };
export const asks = { kind: 'tool', name: 'asks', handler: (args, context) => context.elicit({ message: 'who?' }) };
`;

describe('stdio', () => {
  test('keeps stdout for the protocol, whatever tools print, and ends with its input', async (context) => {
    const cwd = folderWith(context, { 'tools/chatty.mjs': CHATTY });
    const child = asChild(context, ['stdio', '--tools', 'tools', '--workers', '1'], { cwd });
    const clientInfo = { name: 'test', version: '1' };
    const opened = await request(child, 1, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo,
    });
    assert.equal(opened.result?.protocolVersion, '2025-11-25');
    child.process.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
    for (const [id, name] of [
      [2, 'chatty'],
      [3, 'inline'],
    ] as const) {
      const answer = await request(child, id, 'tools/call', { name, arguments: {} });
      assert.equal(answer.result?.content?.[0]?.text, 'quiet');
    }
    child.process.stdin.end();
    const { code, out, err } = await child.ended;
    assert.equal(code, 0, err);
    for (const line of out.trimEnd().split('\n')) assert.equal(JSON.parse(line).jsonrpc, '2.0', line);
    assert.match(err, /^loaded$/m);
    assert.match(err, /^raw$/m);
  });

  test('gives a client that reads all answers, also those that come together and are large', async (context) => {
    const child = asChild(context, ['stdio', '--workers', '1'], { cwd: folderWith(context) });
    const clientInfo = { name: 'test', version: '1' };
    await request(child, 0, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    const params = { name: 'echo', arguments: { text: 'x'.repeat(900_000) } };
    const ids = [1, 2, 3, 4, 5, 6, 7, 8];
    const calls = ids.map((id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }));
    child.process.stdin.end(`${calls.join('\n')}\n`);
    const { code, out } = await child.ended;
    assert.equal(code, 0);
    const answered = out.split('\n').filter((line) => line.includes('xxx'));
    assert.deepEqual(answered.map((line) => (JSON.parse(line) as Message).id).sort(), ids);
  });

  test('ends with its input, whatever a task or a question still waits for', { timeout: 60_000 }, async (context) => {
    const cwd = folderWith(context, { 'tools/waiting.mjs': WAITING });
    const grace = ['--shutdown-grace-ms', '3600000', '--request-timeout-ms', '3600000'];
    const child = asChild(context, ['stdio', '--tools', 'tools', '--workers', '1', ...grace], { cwd });
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
    };
    const task = await request(child, 1, 'tools/call', { name: 'endless', arguments: {}, _meta });
    assert.equal((task.result as { resultType?: string }).resultType, 'task');
    await request(child, 2, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: { elicitation: {} },
      clientInfo: { name: 'test', version: '1' },
    });
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'asks', arguments: {} } };
    child.process.stdin.write(`${JSON.stringify(call)}\n`);
    assert.equal((JSON.parse(await child.line()) as Message).method, 'elicitation/create');
    child.process.stdin.end();
    const answer = JSON.parse(await child.line()) as { id: number; error: { message: string } };
    assert.equal(answer.id, 3);
    assert.match(answer.error.message, /ended its input/);
    assert.equal((await child.ended).code, 0);
  });

  test('ends with 0 on SIGTERM', async (context) => {
    const child = asChild(context, ['stdio', '--workers', '1'], { cwd: folderWith(context) });
    await request(child, 1, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    child.process.kill('SIGTERM');
    assert.equal((await child.ended).code, 0);
  });

  test('reports a refused command line on stderr', async (context) => {
    const { code, out, err } = await asChild(context, ['stdio', '--workers', '0'], { cwd: folderWith(context) }).ended;
    assert.deepEqual(
      [code, out, err],
      [64, '', 'millrace: --workers 0: must be "auto" or an integer from 1 to 512 (threads)\n'],
    );
  });
});
