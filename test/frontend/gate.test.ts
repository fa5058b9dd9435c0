/** Which Host and Origin values pass, alone: on every route it is shown by the contract. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Gate, type GateSettings } from '../../src/frontend/gate.ts';
import type { RequestHead } from '../../src/frontend/port.ts';

function headOf(headers: Record<string, string>): RequestHead {
  return { method: 'GET', path: '/', query: '', header: (name) => headers[name] ?? '' };
}

function passes(gate: Gate, headers: Record<string, string>): boolean {
  return gate.check(headOf(headers)) === null;
}

function gateFor(host: string, rest: Partial<GateSettings> = {}): Gate {
  return new Gate({ host, allowedHosts: [], allowedOrigins: [], ...rest });
}

describe('gate', () => {
  test('bound to loopback: loopback names on any port, in any case', () => {
    for (const bound of ['127.0.0.1', 'localhost', '::1', '127.0.0.53']) {
      const gate = gateFor(bound);
      for (const host of ['localhost', 'LocalHost:8080', '127.0.0.1', '127.0.0.1:1', '[::1]', '[::1]:65535']) {
        assert.equal(passes(gate, { host }), true, `${bound} ${host}`);
      }
    }
  });

  test('bound to loopback: nothing that only looks like it', () => {
    const gate = gateFor('127.0.0.1');
    const foreign = [
      '',
      'evil.example',
      'localhost.evil.example',
      'evil-localhost',
      '127.0.0.1.evil.example',
      '127.0.0.2',
      '0.0.0.0',
      '[::]',
      '[::ffff:7f00:1]',
      'localhost:80, evil.example',
      'localhost, localhost',
      'localhost:',
      'localhost:port',
      'user@localhost',
      'localhost/',
      'localhost\u0000',
      ' localhost',
      'l\u00f6calhost',
      '::1',
      'localhost:999999',
      'a'.repeat(100_000),
    ];
    for (const host of foreign) assert.equal(passes(gate, { host }), false, host.slice(0, 50));
  });

  test('bound elsewhere: its own address and the list, not loopback', () => {
    const gate = gateFor('10.0.0.5', { allowedHosts: ['mcp.example', '2001:db8::1'] });
    for (const host of ['10.0.0.5:8080', 'mcp.example', 'MCP.example:443', '[2001:db8::1]:80']) {
      assert.equal(passes(gate, { host }), true, host);
    }
    for (const host of ['localhost', '127.0.0.1', 'sub.mcp.example', 'mcp.example.']) {
      assert.equal(passes(gate, { host }), false, host);
    }
  });

  test('bound to every address: only the list', () => {
    for (const bound of ['0.0.0.0', '::']) {
      const gate = gateFor(bound, { allowedHosts: ['mcp.example'] });
      assert.equal(passes(gate, { host: 'mcp.example' }), true);
      for (const host of ['0.0.0.0', '[::]', 'localhost']) assert.equal(passes(gate, { host }), false, host);
    }
  });

  test('`*` takes any well-formed host, still not none or two', () => {
    const gate = gateFor('0.0.0.0', { allowedHosts: ['*'] });
    for (const host of ['anything.example', '10.1.1.1:80']) assert.equal(passes(gate, { host }), true);
    for (const host of ['', 'a, b', 'a b', 'a\tb']) assert.equal(passes(gate, { host }), false, host);
  });

  test('origins: none passes, null and foreign do not, listed and loopback ones do', () => {
    const gate = gateFor('127.0.0.1', { allowedOrigins: ['https://App.example/', 'vscode-webview://abc'] });
    const host = 'localhost';
    for (const origin of [
      '',
      'https://app.example',
      'http://localhost:6274',
      'https://[::1]:1',
      'vscode-webview://abc',
    ]) {
      assert.equal(passes(gate, { host, origin }), true, origin);
    }
    for (const origin of [
      'null',
      'https://evil.example',
      'http://app.example',
      'https://app.example:8443',
      'file://',
      'http://localhost.evil.example',
      'https://app.example, https://evil.example',
    ]) {
      assert.equal(passes(gate, { host, origin }), false, origin);
    }
  });

  test('origins: loopback ones do not pass elsewhere; `*` takes any but null', () => {
    const host = 'mcp.example';
    const listed = gateFor('0.0.0.0', { allowedHosts: [host] });
    assert.equal(passes(listed, { host, origin: 'http://localhost' }), false);
    const any = gateFor('0.0.0.0', { allowedHosts: [host], allowedOrigins: ['*'] });
    assert.equal(passes(any, { host, origin: 'https://who.example' }), true);
    assert.equal(passes(any, { host, origin: 'null' }), false);
  });

  test('what was accepted before changes no later decision', () => {
    const hosts = ['localhost', 'localhost:1', '127.0.0.1', '[::1]', 'LOCALHOST', 'evil.example', '', 'localhost:2'];
    const origins = ['', 'http://localhost', 'null', 'https://evil.example', 'https://app.example'];
    const settings = { allowedOrigins: ['https://app.example'] };
    const pair = fc.record({ host: fc.constantFrom(...hosts), origin: fc.constantFrom(...origins) });
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 40 }), (requests) => {
        const remembering = gateFor('127.0.0.1', settings);
        for (const headers of requests) {
          assert.equal(passes(remembering, headers), passes(gateFor('127.0.0.1', settings), headers));
        }
      }),
    );
  });
});
