/**
 * Files in their own time, standard input, made-up events, this machine.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileSourceKind } from '../../../src/streams/sources/file-source.ts';
import { generatorSourceKind } from '../../../src/streams/sources/generator-source.ts';
import { machineSourceKind } from '../../../src/streams/sources/machine-source.ts';
import { TestHost } from './test-host.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replay-'));
});
after(() => rm(folder, { recursive: true }));

describe('file source', () => {
  test('replays events in their own time, faster by a factor', async () => {
    const path = join(folder, 'paced.ndjson');
    await writeFile(path, [0, 10_000, 10_000, 20_000].map((at) => JSON.stringify({ at })).join('\n'));
    const host = new TestHost();
    const times: number[] = [];
    const source = fileSourceKind.create({ type: 'file', path, speed: 200, timestamp: 'at' }, 's', {
      ...{ log: host.log, now: () => Date.now(), fileAt: host.fileAt },
      accept: (batch) => {
        times.push(Date.now());
        return host.accept(batch);
      },
    });
    const from = Date.now();
    await source.start(new Map());
    await source.done;
    // The first of them may be taken as late as can be: those behind it are due by when it was read.
    const since = times.map((time) => time - from);
    // Those of the same time go together.
    assert.equal(since.length, 3);
    assert.ok((since[1] as number) >= 49 && (since[2] as number) >= 99, `came at ${since.join(', ')} ms`);
    assert.equal(host.lines().length, 4);
  });

  test('paces times of any unit, and says when the field has none', async () => {
    for (const [unit, first, second] of [
      ['iso', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00+00:00'],
      ['ns', 1e18, 1e18 + 60e9],
      ['s', 1000, 1060],
    ] as const) {
      const path = join(folder, `${unit}.ndjson`);
      await writeFile(path, [first, second].map((at) => JSON.stringify({ at })).join('\n'));
      const host = new TestHost();
      const from = Date.now();
      const source = fileSourceKind.create({ type: 'file', path, speed: 1000, timestamp: 'at', unit }, 's', host);
      await source.start(new Map());
      await source.done;
      assert.ok(Date.now() - from >= 59, unit);
      assert.equal(host.lines().length, 2);
    }
    const path = join(folder, 'untimed.ndjson');
    await writeFile(path, '{"at":"noon"}\n'.repeat(1000));
    const source = fileSourceKind.create({ type: 'file', path, speed: 1, timestamp: 'at' }, 's', new TestHost());
    await source.start(new Map());
    await assert.rejects(source.done, /s\/file\.timestamp: "?at"?.*none of the first 1000 lines/);
  });

  test('needs a field for the pace, and says what is wrong with a missing file', async () => {
    assert.throws(
      () => fileSourceKind.create({ type: 'file', path: 'x', speed: 1 }, 's', new TestHost()),
      /s\/file\.timestamp: missing, expected the field that paces/,
    );
    const source = fileSourceKind.create({ type: 'file', path: join(folder, 'none') }, 's', new TestHost());
    await source.start(new Map());
    await assert.rejects(source.done, /ENOENT.*none/);
    const other = fileSourceKind.create({ type: 'file', path: join(folder, 'none') }, 's', new TestHost());
    await other.start(new Map([[join(folder, 'none'), '16']]));
    await assert.rejects(other.done, /ENOENT.*none/);
  });

  test('is at its end when the log has all of it', async () => {
    const path = join(folder, 'whole.ndjson');
    await writeFile(path, '{"n":1}\n{"n":2}\n');
    const host = new TestHost();
    const source = fileSourceKind.create({ type: 'file', path }, 's', host);
    await source.start(new Map([[path, '16']]));
    await source.done;
    assert.equal(host.offered.length, 0);
  });

  test('does not take a file for read that is shorter than what was taken of it', async () => {
    const path = join(folder, 'rotated.ndjson');
    await writeFile(path, '{"n":3}\n');
    const host = new TestHost();
    const source = fileSourceKind.create({ type: 'file', path }, 's', host);
    await source.start(new Map([[path, '16']]));
    await assert.rejects(source.done, /rotated\.ndjson has 8 bytes, of which 16 were taken: it is another file/);
    assert.equal(host.offered.length, 0);
  });

  test('does not go on in another file of the same name, but does where this one has grown', async () => {
    const path = join(folder, 'followed.ndjson');
    const begins = '{"n":1}\n{"n":2}\n';
    const replay = async (text: string, host: TestHost): Promise<void> => {
      await writeFile(path, text);
      const source = fileSourceKind.create({ type: 'file', path, batchLines: 1 }, 's', host);
      await source.start(host.positions());
      await source.done;
    };
    let host = new TestHost();
    await replay(begins, host);
    host = host.successor();
    await replay(`${begins}{"n":3}\n`, host);
    assert.deepEqual(host.lines(), ['{"n":1}', '{"n":2}', '{"n":3}']);
    host = host.successor();
    await assert.rejects(
      replay('{"m":1}\n{"m":2}\n{"m":3}\n{"m":4}\n', host),
      /followed\.ndjson does not begin as it did when 24 bytes of it were taken: it is another file/,
    );
    assert.equal(host.offered.length, 0);
  });

  test('says so when the file is emptied or written anew while it is read, and takes no part of a line for one', async () => {
    const lines = Array.from({ length: 200_000 }, (_, n) => `{"n":${n}}\n`).join('');
    // Longer than what was read until then, and without what comes next.
    const other = lines.replaceAll('n', 'm');
    for (const [text, why] of [
      ['', /changed while it was read: it has 0 bytes, of which \d+ were taken/],
      [other, /changed while it was read: it does not begin as it did/],
    ] as const) {
      const path = join(folder, 'changing.ndjson');
      await writeFile(path, lines);
      const host = new TestHost();
      host.holding = true;
      const source = fileSourceKind.create({ type: 'file', path }, 's', host);
      await source.start(new Map());
      await host.until(() => host.offered.length === 1);
      await writeFile(path, text);
      host.holding = false;
      host.release();
      await assert.rejects(source.done, why);
      if (text === '') for (const line of host.lines()) assert.match(line, /^\{"n":\d+\}$/);
    }
  });

  test('reads a file to its end that is moved away meanwhile', async () => {
    const path = join(folder, 'moving.ndjson');
    await writeFile(path, Array.from({ length: 200_000 }, (_, n) => `{"n":${n}}\n`).join(''));
    const host = new TestHost();
    host.holding = true;
    const source = fileSourceKind.create({ type: 'file', path }, 's', host);
    await source.start(new Map());
    await host.until(() => host.offered.length === 1);
    await rename(path, `${path}.1`);
    await writeFile(path, '{"n":-1}\n');
    host.holding = false;
    host.release();
    await source.done;
    assert.equal(host.lines().at(-1), '{"n":199999}');
    assert.equal(host.lines().length, 200_000);
  });

  test('reads a last line that was half written as a whole when it has grown, and once otherwise', async () => {
    const path = join(folder, 'half.ndjson');
    const mark = '\ufeff';
    const replay = async (text: string, before: TestHost): Promise<TestHost> => {
      await writeFile(path, text);
      const host = before.successor();
      const source = fileSourceKind.create({ type: 'file', path }, 's', host);
      await source.start(host.positions());
      await source.done;
      return host;
    };
    for (const [steps, lines] of [
      // Half of a line, of the first one, of a text, and the white space before it.
      [
        ['{"n":1}\n{"n"', '{"n":1}\n{"n":2}\n{"n":3}\n'],
        ['{"n":1}', '{"n"', '{"n":2}', '{"n":3}'],
      ],
      [
        ['{"n"', '{"n":2}'],
        ['{"n"', '{"n":2}'],
      ],
      [
        ['{"k":"\u00e9', '{"k":"\u00e9"}\n'],
        ['{"k":"\u00e9', '{"k":"\u00e9"}'],
      ],
      [
        [' ', ' {"n":2}\n'],
        [' ', ' {"n":2}'],
      ],
      // Several times.
      [
        ['{', '{"n"', '{"n":2}\n'],
        ['{', '{"n"', '{"n":2}'],
      ],
      // It was no event, and nothing more has come to it.
      [
        ['{"n"', '{"n"', '{"n"\n{"n":2}\n'],
        ['{"n"', '{"n":2}'],
      ],
      [
        ['{"n"', '{"n"\r\n{"n":2}\n'],
        ['{"n"', '\r', '{"n":2}'],
      ],
      // It was whole.
      [
        ['{"n":1}', '{"n":1}', '{"n":1}\n{"n":2}'],
        ['{"n":1}', '{"n":2}'],
      ],
      [
        ['{"n":1}', '{"n":1} \r\n{"n":2}'],
        ['{"n":1}', ' \r', '{"n":2}'],
      ],
      [
        [`${mark}{"n":1}`, `${mark}{"n":1} \n{"n":2}`],
        [`${mark}{"n":1}`, ' ', '{"n":2}'],
      ],
    ] as const) {
      let host = new TestHost();
      for (const text of steps) host = await replay(text, host);
      assert.deepEqual(host.lines(), lines);
    }
  });

  test('hands on lines of standard input as they come, and stops while none do', async () => {
    const child = spawn(
      process.execPath,
      [...process.execArgv, new URL(`stdin-child${import.meta.url.slice(-3)}`, import.meta.url).pathname],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const output = child.stdout.setEncoding('utf8');
    let text = '';
    output.on('data', (chunk: string) => {
      text += chunk;
    });
    child.stdin.write('{"n":1}\n{"n":2}\n{"n":');
    while (!text.includes('{"n":2}')) await once(output, 'data');
    // The input stays open: the child ends by itself.
    const [code] = (await once(child, 'exit')) as [number];
    child.stdin.destroy();
    assert.equal(code, 0);
    assert.equal(text, '{"n":1}\n{"n":2}\nstopped\n');
  });
});

describe('generator source', () => {
  const take = async (options: object, positions: ReadonlyMap<string, string> = new Map()): Promise<TestHost> => {
    const host = new TestHost();
    const source = generatorSourceKind.create({ type: 'generator', rate: 0, limit: 5000, ...options }, 's', host);
    await source.start(positions);
    await source.done;
    return host;
  };

  for (const options of [
    { kind: 'nexmark' },
    { kind: 'nexmark', event: 'person' },
    { kind: 'telemetry' },
    { kind: 'ticks' },
  ]) {
    test(`makes the same events again from any place: ${JSON.stringify(options)}`, async () => {
      const whole = await take(options);
      assert.deepEqual((await take(options)).lines(), whole.lines());
      assert.notDeepEqual((await take({ ...options, seed: 2 })).lines(), whole.lines());
      const [, second] = whole.logged;
      const rest = await take(options, new Map([['', second?.position as string]]));
      assert.deepEqual(rest.logged, whole.logged.slice(2));
    });
  }

  test('keeps its rate, in time and in event time', async () => {
    const startMs = Date.now();
    const host = await take({ kind: 'ticks', rate: 2000, limit: 400, batchMs: 20 });
    const tookMs = Date.now() - startMs;
    assert.ok(tookMs >= 199, `400 at 2000 a second took ${tookMs} ms`);
    const times = host.lines().map((line) => (JSON.parse(line) as { at: number }).at);
    assert.equal((times.at(-1) as number) - (times[0] as number), 199);
    assert.equal(host.logged.length, 10);
  });
});

describe('machine source', () => {
  test('measures processors, memory and load in their ranges', async () => {
    const host = new TestHost();
    const source = machineSourceKind.create({ type: 'machine', everyMs: 20 }, 's', host);
    await source.start(new Map());
    await host.until(() => host.logged.length === 3);
    await source.stop();
    const readings = host.lines().map((line) => JSON.parse(line) as { metric: string; value: number; at: number });
    const metrics = new Set(readings.map(({ metric }) => metric));
    for (const metric of ['memory', 'load']) assert.ok(metrics.has(metric));
    for (const { metric, value, at } of readings) {
      assert.ok(Number.isFinite(value) && value >= 0 && Math.abs(Date.now() - at) < 60_000);
      if (metric === 'cpu' || metric === 'memory') assert.ok(value <= 100, `${metric} is ${value}`);
    }
  });
});

test('a clock that is set back holds no source up', async () => {
  const path = join(folder, 'back.ndjson');
  await writeFile(path, [0, 50, 100].map((at) => JSON.stringify({ at })).join('\n'));
  for (const [kind, options, batches] of [
    [fileSourceKind, { path, speed: 1, timestamp: 'at' }, 3],
    [generatorSourceKind, { kind: 'ticks', rate: 1000, limit: 100, batchMs: 20 }, 5],
    [machineSourceKind, { everyMs: 20 }, 3],
  ] as const) {
    const host = new TestHost();
    let backMs = 0;
    const source = kind.create({ type: kind.type, ...options }, 's', {
      log: host.log,
      now: () => Date.now() - backMs,
      fileAt: host.fileAt,
      accept: (batch) => {
        backMs = 3_600_000;
        return host.accept(batch);
      },
    });
    await source.start(new Map());
    await host.until(() => host.logged.length >= batches);
    await source.stop();
  }
});
