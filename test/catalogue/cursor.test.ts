import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CURSOR_CHARS_MAX, Cursors } from '../../src/catalogue/cursor.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';

const cursors = new Cursors(SharedSecret.of('one secret'));
const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => Buffer.from(text).toString() === text);

test('a cursor gives back the name it was issued for, for its own list only', () => {
  fc.assert(
    fc.property(name, (after) => {
      const cursor = cursors.issue('tools', after);
      assert.match(cursor, /^[A-Za-z0-9_-]+$/);
      assert.equal(cursors.read('tools', cursor), after);
      assert.equal(cursors.read('prompts', cursor), null);
    }),
  );
});

test('nodes with one secret understand each other, others do not', () => {
  const cursor = cursors.issue('resources', 'a://b');
  assert.equal(new Cursors(SharedSecret.of('one secret')).read('resources', cursor), 'a://b');
  assert.equal(new Cursors(SharedSecret.of('another')).read('resources', cursor), null);
});

test('a change of secret: other nodes that have the new one understand, and cursors given before stay good', () => {
  const secret = SharedSecret.of('own');
  const node = new Cursors(secret);
  const before = node.issue('tools', 'a');
  secret.use('of all nodes');
  const all = new Cursors(SharedSecret.of('of all nodes'));
  assert.equal(all.read('tools', node.issue('tools', 'b')), 'b');
  assert.equal(node.read('tools', all.issue('tools', 'b')), 'b');
  assert.equal(node.read('tools', before), 'a');
  assert.equal(all.read('tools', before), null);
});

test('a cursor altered anywhere is refused', () => {
  const cursor = cursors.issue('tools', 'some_tool');
  for (let at = 0; at < cursor.length; at += 1) {
    const other = cursor.charAt(at) === 'A' ? 'B' : 'A';
    assert.equal(cursors.read('tools', cursor.slice(0, at) + other + cursor.slice(at + 1)), null, `character ${at}`);
  }
  for (const altered of [`${cursor}A`, cursor.slice(0, -1), ` ${cursor}`, `${cursor}=`, `${cursor}\n`, `!${cursor}`]) {
    assert.equal(cursors.read('tools', altered), null, JSON.stringify(altered));
  }
});

test('invented and hostile cursors are refused, the empty one too', () => {
  const hostile = ['', '0', 'null', '../../etc', '\u0000', '💥', '__proto__', 'A'.repeat(CURSOR_CHARS_MAX + 1)];
  for (const cursor of hostile) assert.equal(cursors.read('tools', cursor), null, JSON.stringify(cursor.slice(0, 20)));
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => cursors.read('tools', text) === null));
});

test('the longest name fits', () => {
  const longest = 'ア'.repeat(2048);
  assert.equal(cursors.read('resources', cursors.issue('resources', longest)), longest);
});
