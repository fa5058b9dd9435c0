/** The `block` policy at the sockets: bodies are held while paused, and handed on in order afterwards. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { RawClient, request } from './raw-client.ts';
import { openScripted, type ScriptedCall, turns } from './scripted-handler.ts';

const NO_BODY = request('GET', '/nowhere');

export function intakeContract(kind: 'uws' | 'node'): void {
  describe(`${kind}: paused intake`, { concurrency: 1 }, () => {
    test('requests with a body wait, others are answered, and all are served after it', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      opened.front.pauseReading();
      const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(opened.port)));
      let bodies = 0;
      opened.script.on('body', () => {
        bodies += 1;
      });
      for (const [i, client] of clients.entries()) client.write(request('POST', '/echo', `held ${i}`));
      const other = await RawClient.open(opened.port);
      other.write(NO_BODY);
      assert.equal((await other.response()).status, 404);
      await turns(5);
      assert.equal(bodies, 0);
      opened.front.resumeReading();
      const answers = await Promise.all(clients.map((client) => client.response()));
      assert.deepEqual(
        answers.map((answer) => answer.body.toString()),
        clients.map((_, i) => `held ${i}`),
      );
      for (const client of [...clients, other]) client.destroy();
    });

    test('a client that leaves while held is forgotten, and the next request of the others is served', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      opened.front.pauseReading();
      const leaving = await RawClient.open(opened.port);
      const staying = await RawClient.open(opened.port);
      leaving.write(request('POST', '/hold', 'gone'));
      staying.write(request('POST', '/echo', 'here'));
      await turns(5);
      leaving.destroy();
      await leaving.closed;
      const bodies: ScriptedCall[] = [];
      opened.script.on('body', (call: ScriptedCall) => void bodies.push(call));
      opened.front.resumeReading();
      assert.equal((await staying.response()).body.toString(), 'here');
      staying.write(request('POST', '/echo', 'again'));
      assert.equal((await staying.response()).body.toString(), 'again');
      const gone = bodies.find((call) => call.path === '/hold');
      if (gone !== undefined && gone.aborts === 0) await once(opened.script, 'aborted');
      staying.destroy();
    });
  });
}
