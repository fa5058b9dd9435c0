import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MissingCapabilityError, ProtocolError } from '../../src/catalogue/define.ts';

const { href } = new URL(
  `../../src/catalogue/define.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`,
  import.meta.url,
);
const copy = (await import(`${href}?copy`)) as typeof import('../../src/catalogue/define.ts');

describe('errors of another copy of the package', () => {
  test('count as ours', () => {
    assert.notEqual(copy.ProtocolError, ProtocolError);
    assert.ok(new copy.ProtocolError(-32000, 'theirs') instanceof ProtocolError);
    assert.ok(new copy.MissingCapabilityError({}) instanceof MissingCapabilityError);
    assert.ok(!(new copy.MissingCapabilityError({}) instanceof ProtocolError));
  });

  test('are not mistaken for an error that only has the name', () => {
    const named = Object.assign(new Error('no code'), { name: 'ProtocolError' });
    assert.ok(!(named instanceof ProtocolError));
    assert.ok(!(Object.assign(named, { code: 'ECONNRESET' }) instanceof ProtocolError));
    assert.ok(!({ name: 'ProtocolError', code: 1 } instanceof ProtocolError));
  });

  test('leave derived classes their own instances', () => {
    class Mine extends ProtocolError {}
    assert.ok(new Mine(1, 'mine') instanceof Mine);
    assert.ok(new Mine(1, 'mine') instanceof ProtocolError);
    assert.ok(!(new ProtocolError(1, 'plain') instanceof Mine));
    assert.ok(!(new copy.ProtocolError(1, 'theirs') instanceof Mine));
  });
});
