import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { describe, test } from 'node:test';
import { createLog, type LogLevelName } from '../../src/observe/log.ts';

const LOG = new URL(`../../src/observe/log.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;

function collecting(level: LogLevelName, bindings: Record<string, unknown> = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = createLog(level, bindings, { write: (line) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

describe('the log', () => {
  test('is one JSON object per line with level, time, bindings, fields and message', () => {
    const { log, lines } = collecting('info', { node: 'n1' });
    log.warn({ tool: 'echo', ms: 3 }, 'slow');
    const [{ time, ...rest } = {}] = lines;
    assert.deepEqual(rest, { level: 'warn', node: 'n1', tool: 'echo', ms: 3, msg: 'slow' });
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('leaves out what is below its level', () => {
    for (const [level, written] of [
      ['trace', 4],
      ['debug', 4],
      ['info', 3],
      ['warn', 2],
      ['error', 1],
      ['silent', 0],
    ] as const) {
      const { log, lines } = collecting(level);
      log.debug({}, 'd');
      log.info({}, 'i');
      log.warn({}, 'w');
      log.error({}, 'e');
      assert.equal(lines.length, written, level);
    }
  });

  test('writes errors with type, message and stack under each of their names', () => {
    const { log, lines } = collecting('info');
    for (const name of ['err', 'error', 'cause']) log.error({ [name]: new TypeError('broken') }, 'm');
    for (const [place, name] of ['err', 'error', 'cause'].entries()) {
      const written = lines[place]?.[name] as { type: string; message: string; stack: string };
      assert.deepEqual([written.type, written.message], ['TypeError', 'broken']);
      assert.match(written.stack, /log\.test/);
    }
  });

  test('goes to stderr, never to stdout, and is whole when the process exits at once', () => {
    const script = `import { createLog } from ${JSON.stringify(LOG)};
      const log = createLog('info');
      for (let i = 0; i < 1000; i++) log.info({ i }, 'line');
      process.exit(0);`;
    const child = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.equal(child.stdout, '');
    const lines = child.stderr.split('\n').filter((line) => line.includes('"msg":"line"'));
    assert.equal(lines.length, 1000, child.stderr.slice(-500));
  });

  test('that cannot be written neither ends the process nor keeps it from ending', () => {
    const script = `import { write } from 'node:fs';
      import { createLog } from ${JSON.stringify(LOG)};
      const log = createLog('info');
      for (let i = 0; i < 10; i++) {
        log.info({ i }, 'line');
        await new Promise((done) => write(2, 'x', done));
      }
      log.info({}, 'two lines');
      log.info({}, 'before the end');
      console.log('came to its end');
      process.exit(7);`;
    // As on a full disk: every write is refused.
    const refused = openSync(devNull, 'r');
    try {
      const args = [...process.execArgv, '--input-type=module', '-e', script];
      const stdio = ['ignore', 'pipe', refused] as const;
      const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: [...stdio], timeout: 30_000 });
      assert.deepEqual([child.stdout, child.status], ['came to its end\n', 7]);
    } finally {
      closeSync(refused);
    }
  });
});
