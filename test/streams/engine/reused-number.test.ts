/**
 * A record that the log refused, and one that was given its number later, in one round: what is derived is of the second.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDeadLetterStore } from '../../../src/streams/dead-letters/memory-store.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ApplyResult, ApplyTask } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import {
  type Appended,
  type EventLog,
  type LoggedRecord,
  type LogRecord,
  LogUnavailable,
} from '../../../src/streams/log/port.ts';
import { storesOf } from '../../../src/streams/stores.ts';
import { openRig } from './rig.ts';

const DEFINITIONS: readonly StreamDefinition[] = [
  {
    name: 'from',
    durability: 'fsync',
    schema: { fields: { k: 'string' } },
    views: [{ name: 'all' }],
    sinks: [{ type: 'stream', stream: 'to' }],
  },
  // Its events are of the time when what they follow from came.
  { name: 'to', durability: 'fsync', schema: { fields: { k: 'string' } }, views: [{ name: 'each' }] },
];

/** Gives the number of a record that it lost again. */
class LossyLog implements EventLog {
  readonly first = 1;
  readonly bytes = 0;
  readonly available = true;
  readonly #records: LogRecord[] = [];
  holds = false;
  lose = (): void => undefined;

  get last(): number {
    return this.#records.length;
  }

  append(record: LogRecord): Appended {
    this.#records.push(record);
    const seq = this.last;
    if (!this.holds) return { seq, durable: Promise.resolve() };
    const durable = new Promise<void>((_resolve, reject) => {
      this.lose = () => {
        this.#records.pop();
        reject(new LogUnavailable('the disk is full'));
      };
    });
    return { seq, durable };
  }

  async *read(after: number): AsyncGenerator<LoggedRecord> {
    for (const [i, record] of this.#records.entries()) if (i >= after) yield { seq: i + 1, record };
  }

  truncate(): Promise<void> {
    return Promise.resolve();
  }

  recover(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Rounds wait while they are held. */
class SlowThreads extends LocalThreads {
  held: Promise<void> = Promise.resolve();

  override async apply(task: ApplyTask): Promise<ApplyResult> {
    await this.held;
    return super.apply(task);
  }
}

/** What can be decoded is, while the round is held. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('events derived from a record that has the number of one that was refused are of its own time', async () => {
  const log = new LossyLog();
  const threads: SlowThreads[] = [];
  const rig = await openRig(DEFINITIONS, {
    stores: () => Promise.resolve(storesOf('', log, null, new MemoryDeadLetterStore())),
    threads: (parts) => {
      const made = new SlowThreads(parts);
      threads.push(made);
      return made;
    },
  });
  try {
    const [slow] = threads as [SlowThreads];
    let go = (): void => undefined;
    slow.held = new Promise((resolve) => {
      go = resolve;
    });
    const first = rig.send('from', [{ k: 'first' }]);
    await turns();
    log.holds = true;
    const refused = rig.send('from', [{ k: 'refused' }]).catch(String);
    log.lose();
    log.holds = false;
    rig.nowMs += 5000;
    const second = rig.send('from', [{ k: 'second' }]);
    await turns();
    go();
    await Promise.all([first, second]);
    assert.match(String(await refused), /disk is full/);
    await rig.settled();
    const rows = await rig.rows('to', 'each');
    assert.deepEqual(
      rows.map(({ start, values }) => [values['k'], start]),
      [
        ['second', rig.nowMs],
        ['first', rig.nowMs - 5000],
      ],
    );
  } finally {
    await rig.close();
  }
});
