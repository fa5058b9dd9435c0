/**
 * The test run: `node dist/test/run.js [--in FOLDER] [pattern…]` runs every `*.test.js` beside it, or in the folder
 * named, whose path holds one of the patterns.
 *
 * It is node's own runner with three rules added: a run that finds no file, a file that holds no test and a test that
 * was skipped all fail; a file that hangs is ended; and what the tests need of the machine is there before the first
 * one starts. What one file makes for others as well is in the folder `TEST_RUN_FOLDER`, which goes with the run.
 * The official protocol schemas and test corpora stand in `../shared` beside the checkout. Where that folder is absent,
 * the files that read it are left out, and named in the last lines of the output; with CI=true that fails the run.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureCommands, NEEDED } from './services.ts';
import { readsSharedData, sharedDataIsThere } from './shared-data-use.ts';

/** More than two cores, as many wait for what takes its time. */
const FILES_AT_ONCE = 3;
const FILE_MS_MAX = 400_000;
/** Characters of a file's stderr that are told again when its process ends badly. */
const LAST_WORDS_MAX = 2000;

/** Test files under `folder` in a fixed order. */
function testFiles(folder: string, patterns: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.test\.[jt]s$/.test(path))
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .sort()
    .map((path) => join(folder, path));
}

/** What became of the process of a file that failed as a whole, and what it wrote to stderr last. */
function howItEnded(error: object, lastWords = 'nothing'): string {
  const { exitCode = null, signal = null } = error as { exitCode?: number | null; signal?: string | null };
  return ` (exit code ${exitCode}, signal ${signal}; on stderr at last: ${lastWords.trim()})`;
}

/** Runs the files; resolves with what is wrong, nothing when all is well. */
async function runFiles(folder: string, files: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  let tests = 0;
  const execArgv = ['--import', import.meta.resolve(`./untracked-promises${extname(import.meta.url)}`)];
  // Node.js 20 hands on its own; later ones have an option.
  process.execArgv.push(...execArgv);
  const options = { files: [...files], concurrency: FILES_AT_ONCE, timeout: FILE_MS_MAX, execArgv };
  const stream = run(options);
  const where = (file: string | undefined): string => (file === undefined ? '' : `${relative(folder, file)}: `);
  const lastWords = new Map<string, string>();
  stream.on('test:stderr', ({ file, message }) => {
    lastWords.set(file, `${lastWords.get(file) ?? ''}${message}`.slice(-LAST_WORDS_MAX));
  });
  stream.on('test:fail', ({ name, file, details }) => {
    if (details.type === 'suite') return;
    const ended = files.includes(name) ? howItEnded(details.error, lastWords.get(name)) : '';
    problems.push(`failed: ${where(file)}${name}${ended}`);
  });
  stream.on('test:pass', ({ name, file, details, skip }) => {
    // Node reports a file without tests as one test, named like the file.
    if (files.includes(name)) problems.push(`holds no test: ${relative(folder, name)}`);
    else if (details.type !== 'suite') tests++;
    if (skip !== undefined && skip !== false) problems.push(`skipped: ${where(file)}${name}`);
  });
  let failures = 0;
  stream.on('test:fail', () => failures++);
  const report = stream.compose(new spec());
  report.pipe(process.stdout);
  await new Promise((done, failed) => {
    report.once('end', done);
    report.once('error', failed);
  });
  if (problems.length === 0 && failures > 0) problems.push('failed: a suite outside its tests');
  if (problems.length === 0 && tests === 0) problems.push('no test was run');
  return problems;
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { in: { type: 'string' } },
    allowPositionals: true,
  });
  const folder = resolve(values.in ?? dirname(fileURLToPath(import.meta.url)));
  const lacking = ensureCommands(NEEDED);
  if (lacking !== null) {
    process.stderr.write(`${lacking}\n`);
    return 1;
  }
  const found = testFiles(folder, positionals);
  const leftOut = sharedDataIsThere() ? [] : found.filter(readsSharedData);
  const files = found.filter((file) => !leftOut.includes(file));
  if (files.length === 0) {
    process.stderr.write(`no test file in ${folder} matches ${positionals.join(', ') || '*.test.js'}\n`);
    return 1;
  }
  process.env['TEST_RUN_FOLDER'] = mkdtempSync(join(tmpdir(), 'test-run-'));
  const problems = await runFiles(folder, files);
  rmSync(process.env['TEST_RUN_FOLDER'], { recursive: true, force: true });
  if (leftOut.length > 0) {
    process.stdout.write('\nleft out, because ../shared (official schemas and corpora) is not beside this checkout:\n');
    for (const file of leftOut) process.stdout.write(`  ${relative(folder, file)}\n`);
    if (process.env['CI'] === 'true') problems.push('the data in ../shared is missing');
  }
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
