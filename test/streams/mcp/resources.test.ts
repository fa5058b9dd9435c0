/**
 * What a read of a stream's resources says when the streams cannot be asked, or have changed since they were listed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError, type ResourceDefinition } from '../../../src/catalogue/define.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type RefusalName, StreamRefusal, type Streams } from '../../../src/streams/engine/port.ts';
import { streamResources } from '../../../src/streams/mcp/resources.ts';
import { openRig } from '../engine/rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};

/** Reads of the listed resources and of the template, of streams that refuse every question. */
async function readsOf(refusal: RefusalName, retryAfterMs: number): Promise<(() => Promise<unknown>)[]> {
  const rig = await openRig([STREAM]);
  const { plan } = rig.service;
  await rig.close();
  const refuse = () => Promise.reject(new StreamRefusal(refusal, 'nobody runs these streams', retryAfterMs));
  const streams = { plan, list: refuse, query: refuse } as unknown as Streams;
  return streamResources(streams)
    .filter(({ template }) => template === undefined || template.includes('windows'))
    .map(({ handler, uri = '' }) => async () => {
      const context = {} as Parameters<ResourceDefinition['handler']>[2];
      return handler(uri, { stream: 's', window: 'w' }, context);
    });
}

test('a refusal is an error that says why, and when to come back', async () => {
  const reads = await readsOf('stopped', 1500);
  assert.equal(reads.length, 3);
  for (const read of reads) {
    await assert.rejects(read, (error) => {
      assert.ok(error instanceof ProtocolError);
      assert.deepEqual([error.code, error.message], [-32000, 'nobody runs these streams']);
      assert.deepEqual(error.data, { retryAfterMs: 1500 });
      return true;
    });
  }
});

test('what is there no more is not found', async () => {
  for (const read of await readsOf('unknown', 0)) assert.equal(await read(), undefined);
});

test('a window is not read as a pattern, where updates of it are not told', async () => {
  const rig = await openRig([{ ...STREAM, patterns: [{ name: 'p', steps: [{ name: 'a' }] }] }]);
  try {
    const read = async (template: string, variables: Record<string, string>): Promise<unknown> =>
      streamResources(rig.service)
        .find((each) => each.template === template)
        ?.handler('', variables, {} as Parameters<ResourceDefinition['handler']>[2]);
    const [windows, patterns] = ['stream://{stream}/windows/{window}', 'stream://{stream}/patterns/{pattern}'] as const;
    assert.equal(typeof (await read(windows, { stream: 's', window: 'w' })), 'string');
    assert.equal(typeof (await read(patterns, { stream: 's', pattern: 'p' })), 'string');
    assert.equal(await read(windows, { stream: 's', window: 'p' }), undefined);
    assert.equal(await read(patterns, { stream: 's', pattern: 'w' }), undefined);
    assert.equal(await read(windows, { stream: 't', window: 'w' }), undefined);
  } finally {
    await rig.close();
  }
});

test('names are completed of the stream that is chosen, and of all while none is', async () => {
  const more = { name: 'more', type: 'count', count: 2, aggregates: { n: 'count' } } as const;
  const rig = await openRig([STREAM, { ...STREAM, name: 't', windows: [more] }]);
  try {
    const windows = streamResources(rig.service).find(({ template }) => template?.includes('windows'));
    const names = (given: Record<string, string>): unknown =>
      windows?.complete?.['window']?.('', { arguments: given, argument: 'window' });
    assert.deepEqual(names({ stream: 't' }), ['more']);
    assert.deepEqual(names({ stream: 's' }), ['w']);
    assert.deepEqual(names({ stream: 'none' }), []);
    assert.deepEqual(names({}), ['w', 'more']);
  } finally {
    await rig.close();
  }
});
