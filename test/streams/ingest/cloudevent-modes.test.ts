/**
 * Content modes of CloudEvents over HTTP: which one a request is in, and what its headers say.
 * Source: CloudEvents 1.0.2, HTTP protocol binding, 3 and 3.1.3.2.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FRONT_ENDS } from '../../clients/serve.ts';
import { call, type StreamsServed, serveStreams, visit } from './serve-streams.ts';

const TAKEN = (accepted: number, rejected = 0) => ({ accepted, rejected, late: 0 });
const attributes = (id: string, more: object = {}) => ({
  ...{ 'ce-specversion': '1.0', 'ce-type': 'visit', 'ce-source': '/shop', 'ce-id': id },
  ...more,
});

for (const frontend of FRONT_ENDS) {
  describe(`CloudEvents over HTTP on ${frontend}`, () => {
    let served: StreamsServed;
    before(async () => {
      served = await serveStreams(frontend);
    });
    after(() => served.close());

    const event = (id: string): object => ({
      ...{ specversion: '1.0', type: 'visit', source: '/shop', id },
      data: visit('mode'),
    });
    const binary = async (body: string, headers: Readonly<Record<string, string>>) =>
      (await served.post(body, { 'Content-Type': 'application/json', ...headers })).json;

    test('the media type says that the body is the event, though its attributes are in headers as well', async () => {
      const structured = { 'Content-Type': 'application/cloudevents+json', ...attributes('s1') };
      assert.deepEqual((await served.post(JSON.stringify(event('s1')), structured)).json, TAKEN(1));
      const batch = { 'Content-Type': 'Application/CloudEvents-Batch+JSON; charset=utf-8', ...attributes('s2') };
      assert.deepEqual((await served.post(JSON.stringify([event('s2'), event('s3')]), batch)).json, TAKEN(2));
    });

    test('values in quotes are what the quotes hold', async () => {
      const data = JSON.stringify(visit('quoted'));
      assert.deepEqual(await binary(data, attributes('q "1"')), TAKEN(1));
      for (const same of ['"q \\"1\\""', 'q%20%221%22', '"q%20\\"1%22"']) {
        assert.deepEqual(await binary(data, attributes(same)), TAKEN(0), same);
      }
      // Half a pair is no quoting.
      assert.deepEqual(await binary(data, attributes('"q2')), TAKEN(1));
      assert.deepEqual(await binary(data, attributes('%22q2')), TAKEN(0));
    });

    test('a body that goes on behind its data is refused, and its attributes do not count', async () => {
      const data = JSON.stringify(visit('spoofed'));
      assert.deepEqual(await binary(data, attributes('mine')), TAKEN(1));
      const text = `${data},"id":"theirs","time":"1999-01-01T00:00:00Z"`;
      assert.deepEqual(await binary(text, attributes('mine')), TAKEN(0, 1));
      for (const behind of ['"data_bytes":1', `"data":${data}`, '"data_base64":"e30="', '"more":{}']) {
        assert.deepEqual(await binary(`${data} , ${behind}`, attributes('more')), TAKEN(0, 1), behind);
      }
      const { json } = await call(`${served.base}/dead-letters`, { method: 'GET' });
      const [first] = json['letters'] as { reason: string }[];
      assert.equal(first?.reason, 'data: the body goes on behind it, expected one JSON value');
      assert.deepEqual(await binary(data, attributes('theirs')), TAKEN(1), 'this one was not there yet');
      assert.deepEqual(await binary(`${data}}`, attributes('closed')), TAKEN(0, 2));
      assert.deepEqual(await binary(`\r\n\t ${data} \n`, attributes('more')), TAKEN(1), 'white space is no more');
    });
  });
}
