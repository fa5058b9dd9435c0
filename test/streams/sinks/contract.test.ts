/**
 * Every sink against the contract.
 */
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { SINK_KINDS } from '../../../src/streams/sinks/kinds.ts';
import type { Sink, SinkKind } from '../../../src/streams/sinks/port.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { CutLine } from './cut-line.ts';
import { failingHandles } from './failing-handles.ts';
import { lineOfRow, rowsOf } from './read-parquet.ts';
import { sinkContract } from './sink.contract.ts';

let folder: string;
let redis: RedisServer;
let line: CutLine;
let server: Server;
let number = 0;
/** What the webhook does with the next call: takes it, or takes it and answers 503, or refuses it. */
const answers: ('take' | 'take-and-fail' | 'refuse')[] = [];
const posted = new Map<string, string[]>();

function next(answer: (typeof answers)[number]): Promise<void> {
  answers.push(answer);
  return Promise.resolve();
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinks-'));
  redis = await RedisServer.start();
  line = await CutLine.to(redis.port);
  server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const answer = answers.shift() ?? 'take';
      const results = JSON.parse(Buffer.concat(chunks).toString()) as object[];
      const lines = posted.get(req.url as string) ?? [];
      posted.set(req.url as string, lines);
      if (answer !== 'refuse') lines.push(...results.map((result) => JSON.stringify(result)));
      res.writeHead(answer === 'take' ? 204 : 503).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(async () => {
  line.close();
  await redis.end();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

function newName(): string {
  number += 1;
  return `n${number}`;
}

function creator(type: string, options: object): { kind: SinkKind; create: () => Sink } {
  const kind = SINK_KINDS.get(type);
  if (kind === undefined) throw new Error(`no sink of type ${type}`);
  return { kind, create: () => kind.create({ ...options }, 's/sink') };
}

const withoutMarks = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('{"millrace"'));

sinkContract(
  'file',
  () => {
    const path = join(folder, newName());
    return Promise.resolve({
      ...creator('file', { path }),
      lines: async () => withoutMarks(await readFile(path, 'utf8')),
      breakNext: { before: () => failingHandles('appendFile'), after: () => failingHandles('datasync') },
      tear: () => appendFile(path, '{"id":"s/w/lost"}\n{"millrace":{"se'),
    });
  },
  'exactly-once',
);

sinkContract(
  'parquet',
  () => {
    const path = join(folder, newName());
    return Promise.resolve({
      ...creator('parquet', { path, rows: 2 }),
      lines: async () => (await rowsOf(path)).map(lineOfRow),
      breakNext: { before: () => failingHandles('appendFile'), after: () => failingHandles('datasync') },
      async tear() {
        const parts = (await readdir(path)).filter((name) => name.startsWith('part-'));
        const next = String(parts.length + 1).padStart(8, '0');
        await appendFile(join(path, `open-${next}.ndjson`), '{"id":"s/w/lost"}\n{"millra');
        await writeFile(join(path, `part-${next}.tmp`), 'PAR1');
        // The newest part is safe, and what it was made of is still there.
        const last = String(parts.length).padStart(8, '0');
        await writeFile(join(path, `open-${last}.ndjson`), '{"id":"s/w/again"}\n{"millrace":{"seq":5}}\n');
      },
    });
  },
  'exactly-once',
);

sinkContract(
  'redis',
  () => {
    const stream = newName();
    const aside = `${stream}-away`;
    let isAway = false;
    return Promise.resolve({
      ...creator('redis', { url: `redis://127.0.0.1:${line.port}`, stream }),
      async lines() {
        const entries = (await redis.run('XRANGE', stream, '-', '+')) as [string, string[]][];
        return entries.map(([, fields]) => fields[3] as string);
      },
      breakNext: {
        // A key of another type: the script fails.
        async before() {
          await redis.run('RENAME', stream, aside);
          await redis.run('SET', stream, 'x');
          isAway = true;
        },
        after: () => line.cutAtNextAnswer(),
      },
      mend() {
        if (isAway) void redis.run('RENAME', aside, stream);
        isAway = false;
      },
      async tear() {
        const socket = connect(redis.port, '127.0.0.1');
        socket.end('*5\r\n$4\r\nXADD\r\n$2\r\n');
        socket.resume();
        await once(socket, 'close');
      },
    });
  },
  'exactly-once',
);

sinkContract(
  'webhook',
  () => {
    const path = `/${newName()}`;
    const { port } = server.address() as AddressInfo;
    return Promise.resolve({
      ...creator('webhook', { url: `http://127.0.0.1:${port}${path}` }),
      lines: () => Promise.resolve(posted.get(path) ?? []),
      breakNext: {
        before: () => next('refuse'),
        after: () => next('take-and-fail'),
      },
      // Only those that promise exactly once are asked.
      tear: () => Promise.resolve(),
    });
  },
  'at-least-once',
);
