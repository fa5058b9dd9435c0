/**
 * Every source against the contract.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { SOURCE_KINDS } from '../../../src/streams/sources/kinds.ts';
import type { Source, SourceHost } from '../../../src/streams/sources/port.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { sourceContract } from './source.contract.ts';

const noBroker = (): Promise<number> => Promise.resolve(0);

function creator(type: string, options: object): (host: SourceHost) => Source {
  const kind = SOURCE_KINDS.get(type);
  if (kind === undefined) throw new Error(`no source of type ${type}`);
  return (host) => kind.create({ type, ...options }, 'prices', host);
}

let folder: string;
let redis: RedisServer;
let number = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sources-'));
  redis = await RedisServer.start();
});
after(async () => {
  await redis.end();
  await rm(folder, { recursive: true });
});

const lines = Array.from({ length: 50 }, (_, n) => JSON.stringify({ n, text: n % 7 === 0 ? 'Grüße 🎐' : 'x' }));

sourceContract('file', true, async () => {
  number += 1;
  const path = join(folder, `${number}.ndjson`);
  // The last line has no end.
  await writeFile(path, lines.join('\n'));
  return {
    create: creator('file', { path, batchLines: 10 }),
    expected: lines,
    acknowledged: noBroker,
  };
});

sourceContract('generator', true, async () => {
  const options = { kind: 'ticks', rate: 10_000, seed: 7, limit: 100, batchMs: 2 };
  const { TickGenerator } = await import('../../../src/streams/sources/generator-data.ts');
  const expected = Buffer.from(new TickGenerator({ seed: 7, ratePerS: 10_000 }).body(0, 100))
    .toString()
    .trim()
    .split('\n');
  return { create: creator('generator', options), expected, acknowledged: noBroker };
});

sourceContract('machine', false, () =>
  Promise.resolve({
    create: creator('machine', { everyMs: 10 }),
    expected: null,
    acknowledged: noBroker,
  }),
);

sourceContract('redis', true, async () => {
  number += 1;
  const stream = `events:${number}`;
  for (const line of lines) await redis.run('XADD', stream, '*', 'event', line);
  return {
    create: creator('redis', { url: redis.url, stream, field: 'event', batch: 10, blockMs: 20 }),
    expected: lines,
    async acknowledged() {
      const [facts = []] = (await redis.run('XINFO', 'GROUPS', stream)) as unknown[][];
      const read = Number(facts[facts.indexOf('entries-read') + 1]);
      return read - Number(facts[facts.indexOf('pending') + 1]);
    },
  };
});
