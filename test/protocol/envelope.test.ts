import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Envelope } from '../../src/protocol/envelope.ts';
import { sharedJson } from '../catalogue/shared-data.ts';
import { fastestMs, LINEAR_MS } from '../clients/processor-time.ts';

const scan = (text: string): Envelope => {
  const envelope = new Envelope();
  envelope.scan(Buffer.from(text));
  return envelope;
};

describe('what a scan finds', () => {
  test('a request whose envelope comes last', () => {
    const found = scan(
      '{"method":"tools/call","params":{"arguments":{"name":"no"},"name":"echo"},"jsonrpc":"2.0","id":"a-1"}',
    );
    assert.equal(found.kind, 'request');
    assert.equal(found.idJson, '"a-1"');
    assert.equal(found.method, 'tools/call');
    assert.equal(found.name, 'echo');
  });

  test('the URI, not the name, of resource methods', () => {
    const found = scan('{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"n","uri":"file:///a"}}');
    assert.equal(found.name, 'file:///a');
  });

  test('the claim of a version only in params._meta', () => {
    const claim = '"io.modelcontextprotocol/protocolVersion":"x"';
    const elsewhere = scan(`{"jsonrpc":"2.0","id":1,"method":"a","_meta":{${claim}},"params":{${claim}}}`);
    assert.equal(elsewhere.claimsStateless, false);
    const there = scan(`{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"progressToken":1,${claim}}}}`);
    assert.equal(there.claimsStateless, true);
  });

  test('nothing of the message before', () => {
    const envelope = new Envelope();
    const claim = '"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}';
    envelope.scan(Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"n",${claim}}}`));
    envelope.scan(Buffer.from('{"jsonrpc":"2.0","method":"b"}'));
    assert.equal(envelope.kind, 'notification');
    assert.equal(envelope.idJson, '');
    assert.equal(envelope.name, '');
    assert.equal(envelope.claimsStateless, false);
  });
});

describe('what a scan leaves to a parse', () => {
  for (const [why, text] of [
    ['an array', '[{"jsonrpc":"2.0","id":1,"method":"a"}]'],
    ['no object', '"method"'],
    ['nothing', ''],
    ['white space', ' \n '],
    ['something behind the message', '{"jsonrpc":"2.0","id":1,"method":"a"}{}'],
    ['a response', '{"jsonrpc":"2.0","id":1,"result":{}}'],
    ['another jsonrpc', '{"jsonrpc":"1.0","id":1,"method":"a"}'],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"a"}'],
    ['an id with a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"a"}'],
    ['an id with an exponent', '{"jsonrpc":"2.0","id":1e3,"method":"a"}'],
    ['an id past what a double holds', '{"jsonrpc":"2.0","id":90071992547409930,"method":"a"}'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"a"}'],
    ['an id with a leading zero', '{"jsonrpc":"2.0","id":01,"method":"a"}'],
    ['an escaped key', '{"jsonrpc":"2.0","id":1,"\\u006dethod":"a"}'],
    ['an escaped method', '{"jsonrpc":"2.0","id":1,"method":"tools\\/call"}'],
    ['an escaped id', '{"jsonrpc":"2.0","id":"\\u0061","method":"a"}'],
    ['an escaped name', '{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"\\u0061"}}'],
    ['an escaped key of _meta', '{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"\\u0061":1}}}'],
    ['an empty method', '{"jsonrpc":"2.0","id":1,"method":""}'],
    ['params that are an array', '{"jsonrpc":"2.0","id":1,"method":"a","params":[]}'],
    ['a missing end', '{"jsonrpc":"2.0","id":1,"method":"a"'],
    ['an unended string', '{"jsonrpc":"2.0","id":1,"method":"a'],
    ['a value that is missing', '{"jsonrpc":"2.0","id":1,"method":}'],
    ['levels past the limit', `{"jsonrpc":"2.0","id":1,"method":"a","x":${'['.repeat(200)}${']'.repeat(200)}}`],
  ] as const) {
    test(why, () => {
      assert.equal(scan(text).kind, 'cold');
    });
  }
});

describe('naughty strings', () => {
  const naughty = sharedJson('reliability', 'corpora', 'blns', 'blns.json') as string[];

  test('as id, method and name they are found as they are, or left to a parse that finds them', () => {
    assert.ok(naughty.length > 400);
    const envelope = new Envelope();
    for (const text of naughty.filter((one) => one !== '')) {
      const message = { jsonrpc: '2.0', id: text, method: text, params: { name: text, uri: text } };
      if (envelope.scan(Buffer.from(JSON.stringify(message))) === 'cold') envelope.adopt(message);
      assert.equal(envelope.kind, 'request', text);
      assert.equal(JSON.parse(envelope.idJson), text);
      assert.equal(envelope.method, text);
      assert.equal(envelope.name, text);
    }
  });
});

describe('hostile bodies are scanned in linear time', () => {
  const call = (value: string): string => `{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":${value}}}`;
  const rows: [string, string][] = [
    ['200,000 levels', call('['.repeat(200_000) + ']'.repeat(200_000))],
    ['100,000 keys', call(`{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":0`).join()}}`)],
    [
      '100,000 keys of _meta',
      `{"params":{"_meta":{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":0`).join()}}}}`,
    ],
    ['a million backslashes', call(`"${'\\'.repeat(1_000_000)}"`)],
    ['half a million escaped quotes', call(`"${'\\"'.repeat(500_000)}"`)],
    ['half a million empty strings', call(`[${'"",'.repeat(500_000)}""]`)],
    ['a quote that never ends, again and again', '{"'.repeat(500_000)],
    ['a number of 10 MB', call('1'.repeat(10_000_000))],
    ['an id of 10 MB', `{"jsonrpc":"2.0","id":${'1'.repeat(10_000_000)},"method":"a"}`],
    ['a megabyte of white space', `{${' '.repeat(1_000_000)}}`],
  ];
  for (const [name, text] of rows) {
    test(name, () => {
      const body = Buffer.from(text);
      const envelope = new Envelope();
      assert.ok(fastestMs(3, () => envelope.scan(body)) < LINEAR_MS);
    });
  }

  test('twice the bytes take about twice the time', () => {
    const envelope = new Envelope();
    const body = (n: number): Buffer => Buffer.from(call(`["${'a\\"'.repeat(n)}",${'[{"k":"v"}],'.repeat(n)}0]`));
    const small = body(20_000);
    const large = body(160_000);
    fastestMs(3, () => envelope.scan(small));
    const ratio = fastestMs(5, () => envelope.scan(large)) / fastestMs(5, () => envelope.scan(small));
    assert.ok(ratio < 32, `8 times the bytes took ${ratio.toFixed(1)} times as long`);
  });
});
