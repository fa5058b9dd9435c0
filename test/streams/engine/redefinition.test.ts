/**
 * Definitions across restarts: what was defined at run time stays, the declaration wins, and what lost its state is said.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
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

test('results of a window are gone with its state, and stay with it', async () => {
  const rig = await openRig([{ ...DECLARED, durability: 'memory' }]);
  try {
    await rig.service.define('s', 'windows', { ...tumbling('w', 100), retainRows: 10 });
    for (const [i, v] of [1, 2, 3].entries()) await send(rig, i * 1000, v);
    assert.deepEqual((await totals(rig, 'w')).toSorted(), [1, 2, 3]);
    await rig.service.define('s', 'windows', { ...tumbling('w', 100), retainRows: 1 });
    assert.deepEqual((await totals(rig, 'w')).toSorted(), [2, 3], 'kept as many as are declared now, and the open one');
    await rig.service.define('s', 'windows', { ...tumbling('w', 100), aggregates: { n: 'count' } });
    assert.deepEqual(await rig.rows('s', 'w', 'all'), [], 'what a window of other values said is not its own');
    await send(rig, 9000, 4);
    await send(rig, 9999, 4);
    assert.deepEqual(
      (await rig.rows('s', 'w')).map(({ values }) => values),
      [{ n: 1 }],
    );
  } finally {
    await rig.close();
  }
});

test('an alert whose state is gone is not raised any more, one that goes on is', async () => {
  const alerted = (...names: string[]): StreamDefinition => ({
    ...DECLARED,
    durability: 'memory',
    alerts: names.map((name) => ({ name, on: 'own', when: 'total > 1' })),
  });
  const stores = lastingStores();
  const raised = (rig: Rig): string[] =>
    rig.service.alerts({ stream: '', active: true, limit: 10 }).map(({ alert }) => alert);
  let rig = await openRig([alerted('stays', 'goes')], { stores });
  await send(rig, 1000, 5);
  await send(rig, 2500, 5);
  assert.deepEqual(raised(rig).toSorted(), ['goes', 'stays']);
  await rig.close();
  rig = await openRig([alerted('stays')], { stores });
  assert.deepEqual(raised(rig), ['stays']);
  await rig.close();
});

test('what is wrong with a definition by a call is told at its place there, or where it is declared', async () => {
  const other: StreamDefinition = { ...DECLARED, name: 'first', windows: [] };
  const alerts = [{ name: 'high', on: 'own', when: 'total > 1' }];
  const rig = await openRig([other, { ...DECLARED, alerts }], { stores: lastingStores() });
  const refused = (definition: unknown, message: RegExp): Promise<void> =>
    assert.rejects(rig.service.define('s', 'windows', definition), { refusal: 'invalid', message });
  try {
    await refused(tumbling('w', 0), /^definition\.sizeMs: 0, expected /);
    await refused(tumbling('w', 5, 'z'), /^definition\.aggregates\.total\.of: "z" /);
    await refused(tumbling('own', 5), /^window own is declared \(s\.windows\[0\]\): only .* can be replaced$/);
    await refused(tumbling('high', 5), /^definition\.name: "high", expected a name .*: s\.alerts\[0\]\.name is there$/);
    await refused(7, /^definition: 7, expected an object/);
    const [first] = alerts;
    await assert.rejects(
      rig.service.define('s', 'patterns', { name: 'p', steps: [first, { name: 'b', where: 'v >' }] }),
      {
        message: /definition\.steps\[0\]\.on: /,
      },
    );
  } finally {
    await rig.close();
  }
});

test('a definition by a call loads no code: it has the reducers that are declared', async () => {
  const reducer = 'export const sum = {init: () => 0, add: (s, v) => s + v, merge: (a, b) => a + b, result: (s) => s};';
  const declared = `data:text/javascript,${reducer}`;
  const strange = `data:text/javascript,globalThis.loadedByCall = true; ${reducer}`;
  const custom = (name: string, module: string): WindowDefinition => ({
    name,
    type: 'tumbling',
    sizeMs: 100,
    aggregates: { total: { fn: 'custom', of: 'v', module, export: 'sum' } },
  });
  const rig = await openRig([{ ...DECLARED, durability: 'memory', windows: [custom('own', declared)] }]);
  try {
    for (const module of [strange, '/etc/passwd', 'node:fs']) {
      const refused = (error: unknown): boolean => error instanceof StreamRefusal && error.refusal === 'invalid';
      await assert.rejects(rig.service.define('s', 'windows', custom('w', module)), refused);
    }
    assert.equal('loadedByCall' in globalThis, false);
    await rig.service.define('s', 'windows', custom('w', declared));
    await send(rig, 1000, 5);
    await send(rig, 2000, 7);
    assert.deepEqual(await totals(rig, 'w'), [7, 5]);
  } finally {
    await rig.close();
  }
});

test('a definition that is in force is so though its checkpoint cannot be saved, and everybody hears of it', async () => {
  const stores = lastingStores();
  const { checkpoints } = await stores();
  const save = checkpoints?.save.bind(checkpoints);
  const rig = await openRig([DECLARED], { stores });
  try {
    assert.ok(checkpoints !== null && save !== undefined);
    checkpoints.save = () => Promise.reject(new Error('no space left'));
    let heard = 0;
    rig.service.onDefined(() => {
      heard += 1;
    });
    const { operators } = await rig.service.define('s', 'windows', tumbling('later', 5000));
    assert.ok(operators.some(({ name }) => name === 's/later'));
    assert.equal(heard, 1);
    const [trouble, ...others] = rig.troubles.filter(({ level }) => level === 'error');
    assert.match(String((trouble?.fields as { readonly err?: Error } | undefined)?.err), /no space left/);
    assert.deepEqual(others, []);
    checkpoints.save = save;
    await send(rig, 1000, 1);
    assert.deepEqual(await totals(rig, 'later'), [1]);
  } finally {
    await rig.close();
  }
});

test('with another number of ids to remember, those that are known stay so, and as many as are declared become known', async () => {
  const stores = lastingStores();
  const schema = { fields: { n: 'integer' } } as const;
  const declared = (idsMax: number): StreamDefinition => ({ name: 's', schema, dedup: { idsMax } });
  const eventOf = (n: number): object => ({ specversion: '1.0', id: `${n}`, source: 'x', type: 't', data: { n } });
  const send = (rig: Rig, from: number, to: number): Promise<{ readonly accepted: number }> => {
    const body = JSON.stringify(Array.from({ length: to - from }, (_, i) => eventOf(from + i)));
    return rig.send('s', [], { format: 'cloudevents-batch', body: Buffer.from(body) });
  };
  let rig = await openRig([declared(8)], { stores });
  assert.equal((await send(rig, 0, 5)).accepted, 5);
  await rig.close();
  rig = await openRig([declared(1000)], { stores });
  assert.equal((await send(rig, 3, 103)).accepted, 98);
  assert.equal((await send(rig, 0, 103)).accepted, 0);
  await rig.close();
});

test('what definitions from before need and is gone is told as theirs', async () => {
  const stores = lastingStores();
  const rig = await openRig([{ ...DECLARED, sinks: [{ type: 'tap' }] }], { stores });
  await send(rig, 1000, 1);
  await rig.close();
  await assert.rejects(
    openRig([DECLARED], { stores, kinds: CONNECTOR_KINDS }),
    /^Error: the definitions in force before this start need what is not there any more, once more: .*tap/,
  );
});
