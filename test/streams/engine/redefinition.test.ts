/**
 * Definitions across restarts: what was defined at run time stays, the declaration wins, and what lost its state is said.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { openStores, type Stores } from '../../../src/streams/stores.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const tumbling = (name: string, sizeMs: number, of = 'v'): WindowDefinition => ({
  name,
  type: 'tumbling',
  sizeMs,
  aggregates: { total: { fn: 'sum', of } },
});

const DECLARED: StreamDefinition = {
  name: 's',
  durability: 'fsync',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [tumbling('own', 1000)],
};

const send = (rig: Rig, at: number, v: number): Promise<unknown> => rig.send('s', [{ at, k: 'a', v }]);

const totals = async (rig: Rig, name: string): Promise<unknown[]> =>
  (await rig.rows('s', name, 'all')).map(({ values }) => values['total']);

const windowsOf = (rig: Rig): string[] => (rig.service.definitions[0]?.windows ?? []).map(({ name }) => name);

const warnings = (rig: Rig): object[] =>
  rig.troubles.filter(({ level }) => level === 'warn').map(({ fields }) => fields);

/** As a node does it, stores on disk. */
async function onDisk(use: (stores: () => Promise<Stores>) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'redefinition-'));
  try {
    await use(() => openStores({ definitions: [DECLARED], dataDir, logBytesMax: 2 ** 30 }));
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

test('a window and a pattern that were defined at run time go on after a restart, with their state', async () => {
  for (const end of ['close', 'abandon'] as const) {
    await onDisk(async (stores) => {
      let rig = await openRig([DECLARED], { stores });
      await rig.service.define('s', 'windows', tumbling('later', 5000));
      await rig.service.define('s', 'patterns', {
        name: 'twice',
        steps: [{ name: 'one' }, { name: 'two' }],
        select: { v: 'last(two).v' },
      });
      await send(rig, 1000, 1);
      await rig[end]();
      rig = await openRig([DECLARED], { stores });
      try {
        assert.deepEqual(windowsOf(rig), ['own', 'later']);
        await send(rig, 2000, 2);
        assert.deepEqual(await totals(rig, 'later'), [3]);
        await send(rig, 60_000, 0);
        assert.ok((await rig.rows('s', 'twice')).length > 0);
        assert.deepEqual(warnings(rig), []);
      } finally {
        await rig.close();
      }
    });
  }
});

test('it stays through a declaration that has changed elsewhere, and more than one restart', async () => {
  const stores = lastingStores();
  let rig = await openRig([DECLARED], { stores });
  await rig.service.define('s', 'windows', tumbling('later', 5000));
  await send(rig, 1000, 1);
  for (const more of [tumbling('x', 100), tumbling('y', 200)]) {
    await rig.abandon();
    rig = await openRig([{ ...DECLARED, windows: [tumbling('own', 1000), more] }], { stores });
    assert.deepEqual(windowsOf(rig), ['own', more.name, 'later']);
  }
  await send(rig, 2000, 2);
  assert.deepEqual(await totals(rig, 'later'), [3]);
  await rig.close();
});

test('a declared definition of the same name wins, and what that costs is said', async () => {
  const stores = lastingStores();
  let rig = await openRig([DECLARED], { stores });
  await rig.service.define('s', 'windows', tumbling('later', 5000));
  await send(rig, 1000, 1);
  await rig.abandon();
  rig = await openRig([{ ...DECLARED, windows: [tumbling('own', 1000), tumbling('later', 7000)] }], { stores });
  await send(rig, 2000, 2);
  assert.deepEqual(await totals(rig, 'later'), [2]);
  const [left, lost, ...others] = warnings(rig) as { operator: string; why: string }[];
  assert.deepEqual(left, { operator: 's/later', why: 'the declaration has its own' });
  assert.equal(lost?.operator, 's/later');
  assert.match(lost?.why ?? '', /was .* and is /);
  assert.deepEqual(others, []);
  await rig.close();
});

test('compatible changes keep state, others say why not, and so does what no longer fits', async () => {
  const stores = lastingStores();
  const other: StreamDefinition = { ...DECLARED, name: 'other' };
  let rig = await openRig([{ ...DECLARED, windows: [tumbling('own', 5000), tumbling('kept', 5000)] }, other], {
    stores,
  });
  await rig.service.define('s', 'windows', tumbling('ofV', 5000));
  await rig.service.define('other', 'windows', tumbling('there', 5000));
  await send(rig, 1000, 1);
  await rig.abandon();
  const fields = { at: 'integer', k: 'string', w: 'number' } as const;
  rig = await openRig(
    [
      {
        ...DECLARED,
        schema: { ...DECLARED.schema, fields },
        windows: [tumbling('own', 9000, 'w')],
      },
    ],
    { stores },
  );
  const said = warnings(rig) as { operator: string; why: string }[];
  assert.deepEqual(said.map(({ operator }) => operator).toSorted(), [
    'other/own',
    'other/there',
    'other/there',
    's/kept',
    's/ofV',
    's/ofV',
    's/own',
  ]);
  const why = (operator: string): string => said.find((each) => each.operator === operator)?.why ?? '';
  assert.equal(why('other/there'), 'its stream is no longer declared');
  assert.match(why('s/ofV'), /"v"/);
  assert.equal(why('s/kept'), 'it is no longer declared');
  await rig.abandon();
  // What was left out is not tried again.
  rig = await openRig(
    [{ ...DECLARED, schema: { ...DECLARED.schema, fields }, windows: [tumbling('own', 9000, 'w')] }],
    {
      stores,
    },
  );
  assert.deepEqual(warnings(rig), []);
  await rig.close();
});
