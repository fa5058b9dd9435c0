/** Numbers of messages, as receivers judge them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Prover, RECEIVERS_MAX, type Ticket } from '../../../src/cluster/peers/proof.ts';
import { WINDOW } from '../../../src/cluster/peers/replay-window.ts';
import { SECRET } from './two-nodes.ts';

const BODY = Buffer.from('body');

describe('numbers of messages', () => {
  const sender = new Prover('sender', SECRET);
  const receiver = new Prover('receiver', SECRET);
  const signed = (number: number) => sender.sign('receiver', receiver.start, 'path', number, BODY);
  const ticketOf = (number: number): Ticket => {
    const verdict = receiver.check('path', signed(number));
    assert.ok(typeof verdict === 'object', String(verdict));
    return verdict;
  };

  test('a body that takes long is taken, whatever is sent to other nodes meanwhile', () => {
    const slow = ticketOf(sender.nextNumber('receiver'));
    for (let n = 0; n < 3 * WINDOW; n++) sender.nextNumber('other');
    const quick = ticketOf(sender.nextNumber('receiver'));
    assert.ok(quick.window.take(quick.number));
    assert.ok(slow.window.take(slow.number));
  });

  test('a number is given to a node once, however many nodes are written to', () => {
    const given = new Set<number>();
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 5; n++) {
        const number = sender.nextNumber('receiver');
        assert.ok(!given.has(number), String(number));
        given.add(number);
        const { window } = ticketOf(number);
        assert.ok(window.take(number));
      }
      for (let n = 0; n <= RECEIVERS_MAX; n++) sender.nextNumber(`${round}-${n}`);
    }
  });
});
