/**
 * The fault of overload is written by hand: to the byte what a general encoder would write.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFault, fault, overloadFault } from '../../src/protocol/faults.ts';

test('the same bytes, whatever was encoded before', () => {
  for (const message of ['the server is at capacity', 'a "quoted" \u2028 one', '', 'the server is at capacity']) {
    for (const retryAfterMs of [50, 1000, 5000]) {
      const general = fault('overloaded', message, { retryAfterMs });
      for (const id of ['', '7', '"a"']) {
        assert.equal(encodeFault(id, overloadFault(message, retryAfterMs)), encodeFault(id, general));
        assert.deepEqual(JSON.parse(encodeFault(id, general)).error, {
          code: -32_000,
          message,
          data: { retryAfterMs },
        });
      }
    }
  }
});
