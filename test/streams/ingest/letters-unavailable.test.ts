/**
 * Dead letters while the disk takes no more: whoever orders them about is told what cannot be written and when to come
 * again, over HTTP and on the command line, and no letter is lost or counted twice for it.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Reply } from '../../../src/frontend/port.ts';
import { LmdbDeadLetterStore } from '../../../src/streams/dead-letters/lmdb-store.ts';
import { LettersUnavailable } from '../../../src/streams/dead-letters/port.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal, type Streams } from '../../../src/streams/engine/port.ts';
import { StreamEndpoint } from '../../../src/streams/ingest/http-endpoint.ts';
import { MemoryLog } from '../../../src/streams/log/memory-log.ts';
import { storesOf } from '../../../src/streams/stores.ts';
import { inProcess } from '../../cli/millrace.ts';
import { lastingStores } from '../engine/faults.ts';
import { openRig } from '../engine/rig.ts';
import { Scratch } from '../log/scratch.ts';
import { call } from './serve-streams.ts';

const STREAM: StreamDefinition = { name: 's', schema: { fields: { n: 'integer' } } };

/** The endpoint of the streams, and nothing else, on a port of its own. */
async function listening(streams: Streams, context: TestContext): Promise<string> {
  const log = { error: () => undefined };
  const endpoint = new StreamEndpoint({ streams, bodyBytesMax: 2 ** 20, admit: () => ({ sender: '' }), log });
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, search } = new URL(request.url ?? '', 'http://here');
    const send: Reply['send'] = (status, type, body, headers = []) =>
      void response.writeHead(status, { 'content-type': type, ...Object.fromEntries(headers) }).end(body);
    const reply = { open: true, send, openStream: () => assert.fail(), remoteAddress: () => '' };
    const header = (name: string): string => String(request.headers[name] ?? '');
    const head = { method: request.method ?? '', path: pathname, query: search.slice(1), header };
    endpoint.head(head, reply)?.body(Buffer.concat(chunks), false);
  });
  context.after(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('orders are answered with 503, when to come again and what cannot be written', async (context) => {
  await using scratch = new Scratch();
  const kept = new LmdbDeadLetterStore(scratch.open());
  const stores = storesOf('', new MemoryLog(), null, kept);
  const rig = await openRig([STREAM], { stores: () => Promise.resolve(stores) });
  const origin = await listening(rig.service, context);
  const url = `${origin}/streams/s/dead-letters`;
  await rig.send('s', [{ n: 'poison' }]);
  const letters = async (): Promise<readonly { readonly id: string }[]> =>
    (await call(url, {})).json['letters'] as { id: string }[];
  const before = await letters();
  const ids = before.map(({ id }) => id);
  // Whoever opens the directory last is the only one that writes to it.
  scratch.open();
  const why = `dead letters cannot be written: ${join(scratch.directory, 'data.d')} was opened by another process`;
  for (const [action, said] of [
    ['drop', ''],
    ['replay', `the events of dead letter ${ids[0]} have been taken again; it stays, since `],
  ] as const) {
    const body = JSON.stringify({ action, ids });
    const { headers, json, status } = await call(url, { method: 'POST', body });
    assert.deepEqual([status, headers.get('retry-after'), json], [503, '1', { error: said + why }]);
  }
  const { code, err } = await inProcess(['streams', 'dlq', 'drop', 's', '--ids', ids.join(), '--url', origin]);
  assert.deepEqual([code, err], [1, `millrace: ${origin}: answers 503: ${why}\n`]);
  assert.deepEqual(await letters(), before);
  await rig.abandon();
});

test('a letter whose events were taken again, and that could not be taken out, counts once when it is replayed anew', async () => {
  const stores = lastingStores();
  const { deadLetters } = await stores();
  const rig = await openRig([STREAM], { stores });
  const place = { stream: 's', seq: 1, index: 0, source: 'test', partition: '', arrivalMs: 0 };
  const heading = { traceparent: '', correlationId: '' };
  const bytes = Buffer.from('{"n":1}');
  await deadLetters.add([{ ...place, ...heading, reason: 'was poison', format: 'ndjson', bytes }]);
  const remove = deadLetters.remove.bind(deadLetters);
  deadLetters.remove = () => Promise.reject(new LettersUnavailable('dead letters cannot be written: no space'));
  await assert.rejects(rig.service.replayDeadLetters('s', ['1:0']), (error) => {
    assert.ok(error instanceof StreamRefusal);
    assert.deepEqual([error.refusal, error.retryAfterMs], ['unavailable', 1000]);
    return true;
  });
  deadLetters.remove = remove;
  assert.equal((await rig.service.deadLetters('s', '', 10)).length, 1);
  const again = await rig.service.replayDeadLetters('s', ['1:0']);
  assert.deepEqual(again, { letters: 1, accepted: 1, rejected: 0, late: 0 });
  assert.equal(rig.service.list()[0]?.counters.accepted, 1);
  assert.deepEqual(await rig.service.deadLetters('s', '', 10), []);
  await rig.close();
});
