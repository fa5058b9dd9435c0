/** What every front end does with WebSockets: who may open one, what may be sent, slow readers, closing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { DIFFERENCES } from './differences.ts';
import { RawClient, request } from './raw-client.ts';
import { LIMITS, type Opened, openScripted, type ScriptedSocket, turns } from './scripted-handler.ts';

const KERNEL_BYTES_MAX = 16_000_000;

export function websocketContract(kind: 'uws' | 'node'): void {
  const differs = DIFFERENCES[kind];

  describe(`${kind}: WebSocket`, { concurrency: 1 }, () => {
    let opened: Opened;
    before(async () => {
      opened = await openScripted(kind);
    });
    after(() => opened.front.close());

    async function connect(protocols: string[] = []): Promise<{ client: WebSocket; socket: ScriptedSocket }> {
      const begun = opened.script.next<ScriptedSocket>('socket');
      const client = new WebSocket(`ws://127.0.0.1:${opened.port}/mcp`, protocols);
      const [socket] = await Promise.all([begun, once(client, 'open')]);
      return { client, socket };
    }

    async function closeOf(client: WebSocket): Promise<{ code: number; reason: string }> {
      const [code, reason] = await once(client, 'close');
      return { code, reason: String(reason) };
    }

    async function nextMessage(client: WebSocket): Promise<string> {
      const [data, isBinary] = await once(client, 'message');
      assert.equal(isBinary, false);
      return String(data);
    }

    /** Status of an upgrade that is refused. */
    async function refusedWith(headers: string[], path = '/mcp'): Promise<number> {
      const client = await RawClient.open(opened.port);
      const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='];
      const version = headers.some((line) => line.startsWith('Sec-WebSocket-Version'))
        ? []
        : ['Sec-WebSocket-Version: 13'];
      client.write(request('GET', path, '', [...upgrade, ...version, ...headers]));
      const answer = await client.response();
      client.destroy();
      return answer.status;
    }

    test('carries text messages both ways', async () => {
      const { client, socket } = await connect();
      client.send('{"id":1}');
      assert.equal(await nextMessage(client), 'echo {"id":1}');
      assert.deepEqual(socket.messages, ['{"id":1}']);
      assert.equal(socket.peer.remoteAddress(), '127.0.0.1');
      assert.equal(socket.peer.send(Buffer.from('from bytes')), true);
      assert.equal(await nextMessage(client), 'from bytes');
      client.terminate();
    });

    test('selects the subprotocol mcp, and no other', async () => {
      const { client } = await connect(['other', 'mcp']);
      assert.equal(client.protocol, 'mcp');
      client.terminate();
    });

    test('reads a message in fragments and one of exactly the limit', async () => {
      const { client, socket } = await connect();
      client.send('quiet ', { fin: false });
      client.send('parts', { fin: true });
      await opened.script.next('message');
      client.send(`quiet${'x'.repeat(LIMITS.messageBytesMax - 5)}`);
      await opened.script.next('message');
      assert.deepEqual(
        socket.messages.map((text) => text.length),
        [11, LIMITS.messageBytesMax],
      );
      client.terminate();
    });

    test('closes with 1003 on a binary message', async () => {
      const { client, socket } = await connect();
      client.send(Buffer.from([1, 2, 3]));
      assert.equal((await closeOf(client)).code, 1003);
      if (socket.closes === 0) await opened.script.next('socket-closed');
      assert.deepEqual([socket.messages.length, socket.closes], [0, 1]);
    });

    test('closes on text that is not UTF-8', async () => {
      for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80]]) {
        const { client, socket } = await connect();
        client.send(Buffer.from(bytes), { binary: false });
        assert.equal((await closeOf(client)).code, differs.invalidText);
        if (socket.closes === 0) await opened.script.next('socket-closed');
        assert.deepEqual([socket.messages.length, socket.closes], [0, 1]);
      }
    });

    test('closes with 1009 on a message over the limit', async () => {
      const { client, socket } = await connect();
      client.send('x'.repeat(LIMITS.messageBytesMax + 1));
      assert.equal((await closeOf(client)).code, 1009);
      assert.equal(socket.messages.length, 0);
    });

    test('closes on a message far over the limit without reading it', async () => {
      const { client, socket } = await connect();
      client.on('error', () => undefined);
      client.send('x'.repeat(LIMITS.messageBytesMax * 50));
      const { code } = await closeOf(client);
      assert.ok(code === 1009 || code === 1006, String(code));
      assert.equal(socket.messages.length, 0);
    });

    test('tells the handler once when the client closes', async () => {
      const { client, socket } = await connect();
      const gone = opened.script.next('socket-closed');
      client.close(1000, 'done');
      await gone;
      assert.deepEqual([socket.closes, socket.peer.open, socket.peer.send('late')], [1, false, false]);
    });

    test('tells the handler when the connection breaks', async () => {
      const { client, socket } = await connect();
      const gone = opened.script.next('socket-closed');
      client.terminate();
      await gone;
      assert.equal(socket.closes, 1);
    });

    test('closes with the code and reason the handler gives, and tells it afterwards', async () => {
      const { client, socket } = await connect();
      socket.peer.close(4001, 'session ended');
      assert.deepEqual([socket.closes, socket.peer.open, socket.peer.send('x')], [0, false, false]);
      assert.deepEqual(await closeOf(client), { code: 4001, reason: 'session ended' });
      if (socket.closes === 0) await opened.script.next('socket-closed');
      assert.equal(socket.closes, 1);
    });

    test('closes only the one socket whose handler throws', async () => {
      const one = await connect();
      const two = await connect();
      one.client.send('throw');
      assert.equal((await closeOf(one.client)).code, 1011);
      two.client.send('fine');
      assert.equal(await nextMessage(two.client), 'echo fine');
      two.client.terminate();
    });

    test('holds back for a slow reader and drains', async () => {
      const { client, socket } = await connect();
      client.pause();
      let sent = 0;
      while (!socket.peer.congested && sent * 20_000 < KERNEL_BYTES_MAX) {
        assert.equal(socket.peer.send(`${sent++}:${'m'.repeat(20_000)}`), true);
        if (sent % 16 === 0) await turns(1);
      }
      assert.equal(socket.peer.congested, true);
      const received: number[] = [];
      client.on('message', (data) => received.push(Number(String(data).split(':')[0])));
      const drained = opened.script.next('drained');
      client.resume();
      await drained;
      assert.equal(socket.peer.congested, false);
      socket.peer.send(`${sent++}:last`);
      while (received.length < sent) await once(client, 'message');
      assert.deepEqual(
        received,
        Array.from({ length: sent }, (_, i) => i),
      );
      client.terminate();
    });

    test('closes a reader that has stopped with 1013, dropping nothing it took before', async () => {
      const { client, socket } = await connect();
      client.pause();
      let sent = 0;
      while (socket.peer.open && sent * 20_000 < 2 * KERNEL_BYTES_MAX) {
        if (socket.peer.send(`${sent}:${'m'.repeat(20_000)}`)) sent++;
        if (sent % 16 === 0) await turns(1);
      }
      assert.ok(sent * 20_000 < KERNEL_BYTES_MAX, `${sent} messages taken`);
      const received: number[] = [];
      client.on('message', (data) => received.push(Number(String(data).split(':')[0])));
      client.resume();
      assert.deepEqual(await closeOf(client), { code: 1013, reason: 'reader is too slow' });
      assert.deepEqual(
        received,
        Array.from({ length: sent }, (_, i) => i),
      );
      if (socket.closes === 0) await opened.script.next('socket-closed');
      assert.equal(socket.closes, 1);
    });

    test('takes one message larger than the limit when nothing is held, and refuses the next', async () => {
      const { client, socket } = await connect();
      client.pause();
      const large = 'L'.repeat(KERNEL_BYTES_MAX);
      assert.equal(socket.peer.send(large), true);
      assert.equal(socket.peer.congested, true);
      assert.equal(socket.peer.send('one more'), false);
      const arrived = once(client, 'message');
      const closed = closeOf(client);
      client.resume();
      const [data] = await arrived;
      assert.equal(String(data).length, large.length);
      assert.equal((await closed).code, 1013);
    });

    test('refuses an upgrade with the status of the handler, the version and the path', async () => {
      assert.equal(await refusedWith([], '/mcp?refuse'), 401);
      const version = await refusedWith(['Sec-WebSocket-Version: 8']);
      assert.ok(version === 426 || version === 101 || version === 400, String(version));
      assert.equal(await refusedWith([], '/nowhere'), 404);
    });

    test('refuses an upgrade from a foreign host or origin', async () => {
      assert.equal(await refusedWith(['Host: evil.example']), 403);
      assert.equal(await refusedWith(['Origin: https://evil.example']), 403);
      assert.equal(await refusedWith(['Origin: null']), 403);
      assert.equal(await refusedWith(['Host: localhost', 'Host: localhost']), differs.repeatedHost);
    });

    test('opens from an allowed origin', async () => {
      const client = new WebSocket(`ws://127.0.0.1:${opened.port}/mcp`, { origin: 'https://app.example' });
      await once(client, 'open');
      client.terminate();
    });
  });
}
