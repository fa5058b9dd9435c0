import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Offer } from '../../../src/cluster/catalogue/offer.ts';

const runs = (offer: string[], labels: string[], name: string, requires: string[] = []): boolean =>
  new Offer({ offer, labels }).runs({ name, requires });

describe('which tools a node runs', () => {
  test('all of them when it offers none in particular', () => {
    assert.ok(runs([], [], 'anything'));
  });

  test('by name, with stars for any characters', () => {
    assert.ok(runs(['echo'], [], 'echo'));
    assert.equal(runs(['echo'], [], 'echo2'), false);
    assert.ok(runs(['gpu-*'], [], 'gpu-render'));
    assert.equal(runs(['gpu-*'], [], 'a-gpu-render'), false);
    assert.ok(runs(['a*b*c'], [], 'aXbYYc') && runs(['*'], [], 'x') && runs(['x', '*y'], [], 'zy'));
    assert.equal(runs(['a.c'], [], 'abc'), false);
    assert.ok(runs(['a.(c)+'], [], 'a.(c)+'));
  });

  test('only with every label it requires, whatever is offered', () => {
    assert.equal(runs([], [], 't', ['gpu']), false);
    assert.ok(runs([], ['gpu', 'big'], 't', ['gpu']));
    assert.equal(runs(['*'], ['gpu'], 't', ['gpu', 'big']), false);
  });

  test('a long row of stars takes no longer than one', () => {
    assert.equal(runs([`${'*'.repeat(200)}x`], [], 'y'.repeat(128)), false);
  });
});
