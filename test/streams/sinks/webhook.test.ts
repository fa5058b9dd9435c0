/**
 * What a webhook sink is declared with: an address and headers that calls can be written with, said so before there are any.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';
import { webhookSinkKind } from '../../../src/streams/sinks/webhook-sink.ts';
import { line } from './sink.contract.ts';

const url = 'http://127.0.0.1:1/';

describe('a webhook sink', () => {
  const WRONG: readonly [string, object, RegExp][] = [
    [
      'user and password in the address',
      { url: 'http://me:secret@127.0.0.1/' },
      /^s\/w\.url: .* without user and password/,
    ],
    [
      'a header name with a blank',
      { url, headers: { 'x bad': 'a' } },
      /^s\/w\.headers: an object, expected header names/,
    ],
    ['a header over two lines', { url, headers: { 'x-bad': 'one\ntwo' } }, /^s\/w\.headers: .* as HTTP can carry them/],
    ['a length of its own', { url, headers: { 'Content-Length': '5' } }, /none that say how the body is sent/],
    ['a list of headers', { url, headers: ['a'] }, /^s\/w\.headers: a list of 1, expected an object/],
  ];
  for (const [what, options, message] of WRONG) {
    test(`refuses ${what}, and shows no password`, () => {
      assert.throws(
        () => webhookSinkKind.create(options as Record<string, unknown>, 's/w'),
        (error) => {
          assert.ok(error instanceof DefinitionProblem);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /secret/);
          return true;
        },
      );
    });
  }

  test('has a declared header in place of its own, however it is spelled', async () => {
    const heard: IncomingHttpHeaders[] = [];
    const server = createServer((request, response) => {
      heard.push(request.headers);
      request.resume().on('end', () => response.end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const sink = webhookSinkKind.create({ url: at, headers: { 'content-type': 'application/x-own' } }, 's/w');
    try {
      await sink.write({ seq: 1, lines: [line(0)] });
      assert.deepEqual(
        heard.map((headers) => headers['content-type']),
        ['application/x-own'],
      );
    } finally {
      await sink.close();
      server.closeAllConnections();
      server.close();
    }
  });
});
