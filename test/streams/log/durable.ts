/**
 * A stream whose events are to be on a disk.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';

export const DURABLE: StreamDefinition = {
  name: 'kept',
  durability: 'fsync',
  schema: { fields: { n: 'number' } },
};
