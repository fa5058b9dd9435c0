/** What the stream asks of the native response, where real sockets cannot be made to show it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UwsEventStream } from '../../src/frontend/uws/event-stream.ts';
import type { NativeResponse } from '../../src/frontend/uws/native.ts';

/** Takes writes while `flowing`, and notes what it was asked. */
class ScriptedResponse {
  flowing = true;
  corks = 0;
  closes = 0;
  readonly written: string[] = [];
  writable: (() => boolean) | null = null;

  write(chunk: string | Uint8Array): boolean {
    this.written.push(Buffer.from(chunk).toString());
    return this.flowing;
  }
  cork(corked: () => void): void {
    this.corks++;
    corked();
  }
  onWritable(writable: () => boolean): void {
    this.writable = writable;
  }
  close(): void {
    this.closes++;
  }
  end(): void {
    this.written.push('end');
  }
}

function open(bytesMax: number): { res: ScriptedResponse; stream: UwsEventStream; ended: () => number } {
  const res = new ScriptedResponse();
  let ends = 0;
  const owner = { streamEnded: () => void ends++ };
  return { res, stream: new UwsEventStream(res as unknown as NativeResponse, bytesMax, owner), ended: () => ends };
}

describe('event stream on uWebSockets.js', () => {
  test('pushes out what the library holds when it becomes writable though nothing was held back here', () => {
    const { res, stream } = open(100);
    res.flowing = false;
    stream.write('a');
    res.flowing = true;
    res.writable?.();
    assert.equal(stream.congested, false);
    const before = res.corks;
    res.writable?.();
    assert.equal(res.corks, before + 1);
  });

  test('stops at the frame the socket does not take, and goes on there', () => {
    const { res, stream } = open(100);
    let drains = 0;
    stream.onDrain = () => void drains++;
    res.flowing = false;
    for (const frame of ['a', 'b', 'c']) assert.equal(stream.write(frame), true);
    assert.deepEqual(res.written, ['a']);
    res.writable?.();
    assert.deepEqual([res.written, stream.congested, drains], [['a', 'b'], true, 0]);
    res.flowing = true;
    res.writable?.();
    assert.deepEqual([res.written, stream.congested, drains], [['a', 'b', 'c'], false, 1]);
  });

  test('holds up to the limit, the write under way included, and closes after the call that passes it', async () => {
    const { res, stream } = open(10);
    res.flowing = false;
    assert.equal(stream.write('12345678'), true);
    assert.equal(stream.write('90'), true);
    assert.equal(stream.write('1'), false);
    assert.deepEqual([stream.open, res.closes], [false, 0]);
    await Promise.resolve();
    assert.equal(res.closes, 1);
  });

  test('does not touch the response once the connection has gone', async () => {
    const { res, stream, ended } = open(1);
    res.flowing = false;
    stream.write('a');
    stream.write('b');
    stream.lost();
    await Promise.resolve();
    res.writable?.();
    stream.end();
    assert.deepEqual([res.written, res.closes, ended()], [['a'], 0, 0]);
  });

  test('ends after what is held, once', () => {
    const { res, stream, ended } = open(100);
    res.flowing = false;
    stream.write('a');
    stream.write('b');
    stream.end();
    stream.end();
    assert.equal(ended(), 0);
    res.flowing = true;
    res.writable?.();
    assert.deepEqual([res.written, ended()], [['a', 'b', 'end'], 1]);
  });
});
