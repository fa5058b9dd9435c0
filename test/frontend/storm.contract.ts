/** Many clients that come, ask, stop reading and leave at any moment: nothing may be left behind, and nobody misserved. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randomFrom } from '../random.ts';
import { RawClient, request } from './raw-client.ts';
import { type Opened, openScripted, type ScriptedCall, turns } from './scripted-handler.ts';

const CLIENTS = 150;
const SEED = 20_260_728;

/** Keeps what the handler holds moving: answers some held requests, feeds and ends streams. */
function stir(opened: Opened, random: () => number): () => void {
  const calls: ScriptedCall[] = [];
  const begun = (call: ScriptedCall): void => void calls.push(call);
  opened.script.on('body', begun);
  const timer = setInterval(() => {
    for (const call of calls) {
      if (call.stream !== null) {
        if (random() < 0.7) call.stream.write(`data: ${'s'.repeat(Math.floor(random() * 30_000))}\n\n`);
        else if (random() < 0.2) call.stream.end();
      } else if (call.path === '/hold' && random() < 0.3) call.reply.send(200, 'text/plain', 'held');
    }
  }, 1);
  return () => {
    clearInterval(timer);
    opened.script.off('body', begun);
  };
}

async function misbehave(opened: Opened, random: () => number): Promise<void> {
  const paths = ['/echo', '/mcp', '/later', '/hold', '/stream', '/big', '/page', '/nowhere', '/throw-in-body'];
  const client = await RawClient.open(opened.port);
  if (random() < 0.3) client.socket.pause();
  const rounds = 1 + Math.floor(random() * 4);
  for (let i = 0; i < rounds && !client.isClosed; i++) {
    const path = paths[Math.floor(random() * paths.length)] as string;
    const text = request('POST', path, 'b'.repeat(Math.floor(random() * 2000)));
    const cut = random() < 0.5 ? text.length : Math.floor(random() * text.length);
    client.write(text.slice(0, cut));
    await turns(Math.floor(random() * 5));
    if (random() < 0.7) client.write(text.slice(cut));
    await turns(Math.floor(random() * 5));
  }
  client.destroy();
  await client.closed;
}

export function stormContract(kind: 'uws' | 'node'): void {
  describe(`${kind}: storm`, { concurrency: 1 }, () => {
    test('clients that leave at any moment leave nothing behind', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      const random = randomFrom(SEED);
      const still = stir(opened, random);
      let aborts = 0;
      opened.script.on('aborted', (call: ScriptedCall) => {
        aborts++;
        assert.equal(call.aborts, 1);
      });
      for (let done = 0; done < CLIENTS; done += 25) {
        await Promise.all(Array.from({ length: 25 }, () => misbehave(opened, random)));
        const polite = await RawClient.open(opened.port);
        polite.write(request('POST', '/echo', `after ${done}`));
        assert.equal((await polite.response()).body.toString(), `after ${done}`);
        polite.destroy();
        await polite.closed;
      }
      while (opened.front.connections > 0) await turns(1);
      still();
      assert.ok(aborts > CLIENTS / 10, `${aborts} aborts`);
      const unexpected = opened.errors.filter((fields) => !JSON.stringify(fields, describeError).includes('scripted'));
      assert.deepEqual(unexpected, []);
    });
  });
}

/** Errors have no own JSON. */
function describeError(_name: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
