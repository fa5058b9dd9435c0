/** The header table against a plain map, and what framing is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { contentLength, framingFault, HEADER_LINES_MAX, HeaderTable } from '../../src/frontend/headers.ts';

describe('header table', () => {
  test('finds what a map would, repeated names joined, after any number of uses', () => {
    const name = fc.oneof(
      fc.constantFrom('host', 'date', 'accept', 'origin', 'mcp-name', 'mcp-session-id'),
      fc.stringMatching(/^[a-z0-9-]{1,80}$/),
    );
    const lines = fc.array(fc.tuple(name, fc.string({ maxLength: 10 })), { maxLength: HEADER_LINES_MAX });
    const table = new HeaderTable();
    fc.assert(
      fc.property(lines, fc.array(name), (added, asked) => {
        table.clear();
        const model = new Map<string, string>();
        let size = 0;
        for (const [key, value] of added) {
          table.add(key, value);
          const had = model.get(key);
          model.set(key, had === undefined ? value : `${had}, ${value}`);
          size += key.length + value.length + 4;
        }
        assert.deepEqual([table.lines, table.size], [added.length, size]);
        for (const key of [...model.keys(), ...asked]) assert.equal(table.get(key), model.get(key) ?? '');
      }),
    );
  });

  test('counts lines past the limit without keeping them', () => {
    const table = new HeaderTable();
    for (let i = 0; i < HEADER_LINES_MAX + 50; i++) table.add(`x-${i}`, 'v');
    assert.equal(table.lines, HEADER_LINES_MAX + 50);
    assert.equal(table.get(`x-${HEADER_LINES_MAX - 1}`), 'v');
    assert.equal(table.get(`x-${HEADER_LINES_MAX}`), '');
  });
});

describe('framing', () => {
  function faultOf(lines: readonly (readonly [string, string])[]): string {
    const table = new HeaderTable();
    for (const [key, value] of lines) table.add(key, value);
    return framingFault(table);
  }

  test('takes one length, or chunks, or neither', () => {
    assert.equal(faultOf([]), '');
    assert.equal(faultOf([['content-length', '0']]), '');
    assert.equal(faultOf([['content-length', '123']]), '');
    assert.equal(faultOf([['transfer-encoding', 'Chunked']]), '');
  });

  test('refuses both, two lengths, a length that is no number, another coding', () => {
    const length = ['content-length', '3'] as const;
    assert.notEqual(faultOf([length, ['transfer-encoding', 'chunked']]), '');
    assert.notEqual(faultOf([length, length]), '');
    for (const value of ['-1', '+1', '0x10', '1.0', '1e3', '3 ', '٣']) {
      assert.notEqual(faultOf([['content-length', value]]), '', value);
    }
    for (const value of ['gzip', 'gzip, chunked', 'chunked, chunked', 'identity']) {
      assert.notEqual(faultOf([['transfer-encoding', value]]), '', value);
    }
  });

  test('reads a length as a number, or says it is none', () => {
    assert.equal(contentLength(''), 0);
    assert.equal(contentLength('007'), 7);
    assert.equal(contentLength('3, 3'), -1);
    fc.assert(fc.property(fc.nat(), (n) => contentLength(String(n)) === n));
  });
});
