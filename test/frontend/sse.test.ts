/** Frames as the wire has them, and as a reader of the standard reads them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ClosedStream,
  COMMENT_FRAME,
  eventFrame,
  primingFrame,
  retryFrame,
  SSE_HEADERS,
} from '../../src/frontend/sse.ts';

/** Reads a stream by the rules of the standard: fields by line, an event at each empty line. */
function read(text: string): { type: string; id: string; data: string }[] {
  const events: { type: string; id: string; data: string }[] = [];
  let [type, id] = ['message', ''];
  let data: string[] = [];
  for (const line of text.split('\n')) {
    if (line === '') {
      if (data.length > 0) events.push({ type, id, data: data.join('\n') });
      type = 'message';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') type = value;
    else if (field === 'id') id = value;
    else if (field === 'data') data.push(value);
  }
  return events;
}

describe('event frames', () => {
  test('are pinned on the wire', () => {
    assert.equal(Buffer.from(eventFrame('{"a":1}')).toString(), 'event: message\ndata: {"a":1}\n\n');
    assert.equal(Buffer.from(eventFrame('{}', '7_1')).toString(), 'event: message\nid: 7_1\ndata: {}\n\n');
    assert.equal(Buffer.from(primingFrame('7_0')).toString(), 'id: 7_0\ndata:\n\n');
    assert.equal(Buffer.from(retryFrame(1500.7)).toString(), 'retry: 1500\n\n');
    assert.equal(Buffer.from(COMMENT_FRAME).toString(), ':\n\n');
    assert.deepEqual(SSE_HEADERS, [
      ['Cache-Control', 'no-cache, no-transform'],
      ['X-Accel-Buffering', 'no'],
    ]);
  });

  test('carry any JSON whole, from text and from bytes alike', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.json(), fc.nat())), (messages) => {
        const frames = messages.map(([json, id]) => eventFrame(json, String(id)));
        for (const [i, [json, id]] of messages.entries()) {
          assert.deepEqual(eventFrame(Buffer.from(json), String(id)), frames[i]);
        }
        const text = Buffer.concat(frames.flatMap((frame) => [COMMENT_FRAME, frame])).toString();
        const expected = messages.map(([json, id]) => ({ type: 'message', id: String(id), data: json }));
        assert.deepEqual(read(text), expected);
      }),
    );
  });

  test('a stream that is closed takes nothing', () => {
    const stream = new ClosedStream();
    stream.end();
    assert.deepEqual([stream.open, stream.write()], [false, false]);
  });
});
