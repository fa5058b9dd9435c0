/**
 * A runtime that cannot start says so, and leaves nothing behind that would keep its process: threads, timers,
 * connections.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Longer than any machine needs. */
const PATIENCE_MS = 60_000;

test('a runtime that cannot start lets its process end', async () => {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = fileURLToPath(new URL(`./fixtures/failed-start.${extension}`, import.meta.url));
  const loader = extension === 'ts' ? ['--import', import.meta.resolve('tsx')] : [];
  // Killed when it does not end: then this rejects.
  const run = promisify(execFile)(process.execPath, [...loader, script], {
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  assert.match((await run).stdout, /there-is-no-such-module/);
});
