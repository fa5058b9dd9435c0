/** The embedded event log keeps to the contract, and to its bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryEventLog } from '../../src/sessions/memory-event-log.ts';
import { eventLogContract } from './event-log.contract.ts';

eventLogContract('memory', async (limits) => new MemoryEventLog(limits));

test('a dropped session leaves nothing behind', () => {
  const log = new MemoryEventLog({ eventsMax: 10, eventBytesMax: 1000 });
  log.append('a', 1, 'x');
  log.mark('b', 1);
  assert.equal(log.size, 2);
  log.drop('a');
  log.drop('b');
  log.drop('never there');
  assert.equal(log.size, 0);
});
