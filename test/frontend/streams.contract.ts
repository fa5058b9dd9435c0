/** What every front end does with answers in frames: order, slow readers, ends. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EventStream } from '../../src/frontend/port.ts';
import { eventFrame, resumableFrame } from '../../src/frontend/sse.ts';
import { RawClient, request } from './raw-client.ts';
import { LIMITS, type Opened, openScripted, type ScriptedCall, turns } from './scripted-handler.ts';

/** What the kernel may hold of a connection nobody reads, on top of the limit. */
const KERNEL_BYTES_MAX = 16_000_000;

export function streamsContract(kind: 'uws' | 'node'): void {
  describe(`${kind}: event streams`, { concurrency: 1 }, () => {
    let opened: Opened;
    before(async () => {
      opened = await openScripted(kind);
    });
    after(() => opened.front.close());

    async function openStream(): Promise<{ client: RawClient; call: ScriptedCall; stream: EventStream }> {
      const client = await RawClient.open(opened.port);
      const begun = opened.script.next<ScriptedCall>('body');
      client.write(request('GET', '/stream'));
      const call = await begun;
      await client.until('\r\n\r\n');
      assert.ok(call.stream);
      return { client, call, stream: call.stream };
    }

    /** Writes frames of `frameBytes` until the stream holds back or is closed; how many were taken. */
    async function fill(stream: EventStream, frameBytes: number, until: () => boolean): Promise<number> {
      let taken = 0;
      while (!until() && taken * frameBytes < 2 * KERNEL_BYTES_MAX) {
        if (stream.write(eventFrame(`${taken}:${'d'.repeat(frameBytes)}:end${taken}`))) taken++;
        if (taken % 16 === 0) await turns(1);
      }
      return taken;
    }

    test('sends headers at once, frames in order, and ends', async () => {
      const { client, stream } = await openStream();
      assert.equal(stream.open, true);
      for (let i = 0; i < 5; i++) assert.equal(stream.write(resumableFrame(`id-${i}`, `{"n":${i}}`)), true);
      assert.equal(stream.write(eventFrame(Buffer.from('{"n":5}'))), true);
      stream.end();
      assert.deepEqual([stream.open, stream.write('late')], [false, false]);
      const answer = await client.response();
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('content-type'), 'text/event-stream');
      assert.equal(answer.headers.get('cache-control'), 'no-cache, no-transform');
      assert.equal(answer.headers.get('x-accel-buffering'), 'no');
      assert.equal(answer.headers.get('mcp-session-id'), 'abc');
      const frames = answer.body
        .toString()
        .split('\n\n')
        .filter((frame) => frame.startsWith('event: message'));
      assert.deepEqual(
        frames.map((frame) => frame.split('data: ')[1]),
        ['{"n":0}', '{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}', '{"n":5}'],
      );
      client.write(request('POST', '/echo', 'next'));
      assert.equal((await client.response()).body.toString(), 'next');
      client.destroy();
    });

    test('does not change a frame the writer reuses', async () => {
      const { client, stream } = await openStream();
      client.socket.pause();
      const shared = Buffer.from('data: 0\n\n');
      while (!stream.congested) stream.write(eventFrame('f'.repeat(60_000)));
      stream.write(shared);
      shared.fill('!');
      client.socket.resume();
      await client.until('data: 0\n\n');
      client.destroy();
    });

    test('tells the handler once when the reader leaves', async () => {
      const { client, call, stream } = await openStream();
      const gone = opened.script.next('aborted');
      client.destroy();
      await gone;
      assert.deepEqual([call.aborts, stream.open, stream.write('late')], [1, false, false]);
    });

    test('does not tell of an abort after the end', async () => {
      const { client, call, stream } = await openStream();
      stream.end();
      await client.response();
      client.destroy();
      await client.closed;
      await turns(5);
      assert.equal(call.aborts, 0);
    });

    test('holds back for a slow reader, then delivers everything in order', async () => {
      const { client, stream } = await openStream();
      client.socket.pause();
      let taken = await fill(stream, 8000, () => stream.congested);
      assert.ok(stream.congested && stream.open);
      for (let i = 0; i < 3; i++) if (stream.write(eventFrame(`${taken}:${'d'.repeat(8000)}`))) taken++;
      const drained = new Promise<void>((resolve) => {
        stream.onDrain = resolve;
      });
      client.socket.resume();
      await drained;
      assert.equal(stream.congested, false);
      stream.write(eventFrame('last'));
      stream.end();
      const body = (await client.response()).body.toString();
      const numbers = [...body.matchAll(/data: (\d+):/g)].map((match) => Number(match[1]));
      assert.deepEqual(
        numbers,
        Array.from({ length: taken }, (_, i) => i),
      );
      assert.ok(body.endsWith('data: last\n\n'));
      client.destroy();
    });

    test('delivers what was taken without being written to again, and drains after that', async () => {
      const { client, stream } = await openStream();
      client.socket.pause();
      const taken = await fill(stream, 200_000, () => stream.congested);
      const drained = new Promise<void>((resolve) => {
        stream.onDrain = resolve;
      });
      client.socket.resume();
      await Promise.all([client.until(`:end${taken - 1}\n\n`), drained]);
      assert.deepEqual([stream.open, stream.congested], [true, false]);
      client.destroy();
    });

    test('can hold back and recover again and again', async () => {
      const { client, stream } = await openStream();
      let taken = 0;
      for (let round = 0; round < 3; round++) {
        client.socket.pause();
        taken += await fill(stream, 30_000, () => stream.congested);
        const drained = new Promise<void>((resolve) => {
          stream.onDrain = resolve;
        });
        client.socket.resume();
        await drained;
      }
      stream.end();
      const body = (await client.response()).body.toString();
      assert.equal([...body.matchAll(/data: /g)].length, taken);
      client.destroy();
    });

    test('delivers what is held when the stream ends before the reader goes on', async () => {
      const { client, stream } = await openStream();
      client.socket.pause();
      await fill(stream, 8000, () => stream.congested);
      assert.equal(stream.write(eventFrame('the last one')), true);
      stream.end();
      client.socket.resume();
      assert.ok((await client.response()).body.toString().endsWith('data: the last one\n\n'));
      client.write(request('POST', '/echo', 'next'));
      assert.equal((await client.response()).body.toString(), 'next');
      client.destroy();
    });

    test('closes a reader that has stopped, with what it holds bounded', async () => {
      const { client, call, stream } = await openStream();
      client.socket.pause();
      const gone = opened.script.next('aborted');
      let heldBytes = 0;
      const taken = await fill(stream, 8000, () => {
        if (stream.congested) heldBytes += 8000;
        return !stream.open;
      });
      await gone;
      assert.ok(taken * 8000 < KERNEL_BYTES_MAX, `${taken} frames taken`);
      assert.ok(heldBytes <= LIMITS.streamBufferBytesMax + 2 * 8000, `${heldBytes} bytes held`);
      assert.deepEqual([call.aborts, stream.open, stream.write('x')], [1, false, false]);
      client.destroy();
    });

    test('takes one frame larger than the limit when nothing is held', async () => {
      const { client, stream } = await openStream();
      assert.equal(stream.write(eventFrame('m'.repeat(LIMITS.streamBufferBytesMax * 20))), true);
      stream.end();
      const answer = await client.response();
      assert.ok(answer.body.length > LIMITS.streamBufferBytesMax * 20);
      client.destroy();
    });

    test('serves others while one reader has stopped', async () => {
      const { client, stream } = await openStream();
      client.socket.pause();
      await fill(stream, 8000, () => stream.congested);
      const other = await RawClient.open(opened.port);
      other.write(request('POST', '/echo', 'quick'));
      assert.equal((await other.response()).body.toString(), 'quick');
      other.destroy();
      client.destroy();
    });
  });
}
