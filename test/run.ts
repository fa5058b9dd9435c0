/**
 * The test run: `node dist/test/run.js [pattern…]` runs every `*.test.js` beside it whose path holds one of the patterns.
 *
 * It is node's own runner with three rules added: a run that finds no file, or a file that holds no test, fails; a
 * file that hangs is ended; and what the tests need from the machine is there before the first one starts.
 */
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { ensureCommands, NEEDED } from './services.ts';

const FILES_AT_ONCE = 2;
const FILE_MS_MAX = 180_000;
const FOLDER = dirname(fileURLToPath(import.meta.url));

/** Test files in a fixed order. */
function testFiles(patterns: readonly string[]): string[] {
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.test\.[jt]s$/.test(path) && !path.endsWith('.d.ts'))
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .sort()
    .map((path) => join(FOLDER, path));
}

/** Runs the files; resolves with what is wrong, nothing when all is well. */
async function runFiles(files: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  let tests = 0;
  const stream = run({ files: [...files], concurrency: FILES_AT_ONCE, timeout: FILE_MS_MAX });
  stream.on('test:fail', ({ name, todo }) => {
    if (todo === undefined || todo === false) problems.push(`failed: ${name}`);
  });
  stream.on('test:pass', ({ name, details, skip }) => {
    // Node reports a file without tests as a test of the file's name.
    if (files.includes(name)) problems.push(`holds no test: ${relative(FOLDER, name)}`);
    else if (details.type !== 'suite') tests++;
    if (skip !== undefined && skip !== false) problems.push(`skipped: ${name}`);
  });
  const report = stream.compose(spec);
  report.pipe(process.stdout);
  await new Promise((resolve, reject) => {
    report.once('end', resolve);
    report.once('error', reject);
  });
  if (tests === 0 && problems.length === 0) problems.push('no test was run');
  return problems;
}

async function main(patterns: readonly string[]): Promise<number> {
  const lacking = ensureCommands(NEEDED);
  if (lacking !== null) {
    process.stderr.write(`${lacking}\n`);
    return 1;
  }
  const files = testFiles(patterns);
  if (files.length === 0) {
    process.stderr.write(`no test file matches ${patterns.join(', ') || FOLDER}\n`);
    return 1;
  }
  const problems = await runFiles(files);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
