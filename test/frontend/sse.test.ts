/** Frames as the wire has them, and as a reader of the standard reads them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ClosedStream,
  COMMENT_FRAME,
  eventFrame,
  primingFrame,
  resumableFrame,
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
    assert.equal(resumableFrame('7_1', '{}'), 'event: message\nid: 7_1\ndata: {}\n\n');
    assert.equal(primingFrame('7_0'), 'id: 7_0\ndata: \n\n');
    assert.equal(retryFrame(1500.7), 'retry: 1500\n\n');
    assert.equal(Buffer.from(COMMENT_FRAME).toString(), ':\n\n');
    assert.deepEqual(SSE_HEADERS, [
      ['Cache-Control', 'no-cache, no-transform'],
      ['X-Accel-Buffering', 'no'],
    ]);
  });

  test('carry any JSON whole, from text and from bytes alike', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.json(), fc.nat())), (messages) => {
        let text = '';
        for (const [json, id] of messages) {
          const frame = eventFrame(json);
          assert.deepEqual(eventFrame(Buffer.from(json)), frame);
          text += Buffer.concat([COMMENT_FRAME, frame, COMMENT_FRAME]).toString() + resumableFrame(String(id), json);
        }
        // One without an id leaves the last one as it is.
        const lastId = (i: number): string => String(messages[i]?.[1] ?? '');
        const expected = messages.flatMap(([data], i) => [
          { type: 'message', id: lastId(i - 1), data },
          { type: 'message', id: lastId(i), data },
        ]);
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
