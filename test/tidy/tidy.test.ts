import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as rules from './rules.ts';
import { parse, projectRoot, type SourceFile, sourceFiles } from './source-tree.ts';

const ROOT = projectRoot();
const RUNTIME = sourceFiles(ROOT, ['src', 'workers']);
const BENCH = sourceFiles(ROOT, ['bench']);
const TESTS = sourceFiles(ROOT, ['test']);
const ALL = [...RUNTIME, ...BENCH, ...TESTS];

const complaintsOf = (rule: rules.Rule, files: readonly SourceFile[]): string[] => files.flatMap((file) => rule(file));
const HEADER = '/**\n * Why.\n */\n';

/** name, rule, files it holds for, path and text that break it, text that keeps it. */
const TABLE: readonly [string, rules.Rule, readonly SourceFile[], string, string, string][] = [
  [
    'files are at most 400 lines long',
    rules.fileLength,
    [...RUNTIME, ...BENCH],
    'src/a.ts',
    '\n'.repeat(401),
    '\n'.repeat(400),
  ],
  [
    'functions are at most 60 lines long',
    rules.functionLength,
    [...RUNTIME, ...BENCH],
    'src/a.ts',
    `const f = () => {${'\n'.repeat(60)}};`,
    `const f = () => {${'\n'.repeat(59)}};`,
  ],
  [
    'files begin with why they exist',
    rules.headerComment,
    [...RUNTIME, ...BENCH],
    'src/a.ts',
    'const a = 1;',
    `// HOT PATH\n${HEADER}`,
  ],
  [
    'nothing is left for later, no machine is named',
    rules.bannedWords,
    ALL,
    'src/a.ts',
    `// TO${'DO'}: rest`,
    '// todos',
  ],
  [
    'exports are named one by one',
    rules.noExportStar,
    ALL,
    'src/a.ts',
    "export * from './b.ts';",
    "export { b } from './b.ts';",
  ],
  [
    'there are no default exports',
    rules.noDefaultExport,
    [...RUNTIME, ...BENCH],
    'src/a.ts',
    'export default 1;',
    'switch (a) { default: b(); }',
  ],
  [
    'no catch is empty',
    rules.noEmptyCatch,
    ALL,
    'src/a.ts',
    'try { a(); } catch { /* fine */ }',
    'try { a(); } catch { b(); }',
  ],
  ['any is not used', rules.noAny, ALL, 'src/a.ts', 'const a: any = 1;', 'const any: unknown = "any";'],
  [
    'the environment is read in one place',
    rules.noEnvironment,
    RUNTIME,
    'src/a/b.ts',
    'const a = process.env;',
    '// process.env',
  ],
  [
    'the hot path makes no promise, copy or error per item',
    rules.hotPath,
    RUNTIME,
    'src/a.ts',
    '// HOT PATH\nfunction f(a) { return [...a]; }',
    '// HOT PATH\nconst a = [...b]; class C { constructor() { f({ ...a }); } g() { throw new Error("a bug"); } }',
  ],
  [
    'no test is left out',
    rules.noSkippedTests,
    TESTS,
    'test/a.ts',
    "test('x', { skip: true }, f);",
    "f({ skip: true }); test('x', f);",
  ],
  [
    'imports point inwards',
    rules.importDirection,
    RUNTIME,
    'src/frontend/a.ts',
    "import type { Channel } from '../protocol/channel.ts';",
    "import { fault } from '../protocol/faults.ts';\nimport type { Log } from '../observe/port.ts';",
  ],
  [
    'each dependency has one home',
    rules.singleHomes,
    [...RUNTIME, ...BENCH],
    'src/cli/a.ts',
    "import { z } from 'zod';",
    "import { a } from './zod.ts';",
  ],
];

for (const [name, rule, files, path, bad, good] of TABLE) {
  describe(name, () => {
    test('the rule tells a good file from a bad one', () => {
      assert.equal(rule(parse(path, bad)).length, 1);
      assert.deepEqual(rule(parse(path, good)), []);
    });
    test('the tree keeps it', () => {
      assert.ok(files.length > 0);
      assert.deepEqual(complaintsOf(rule, files), []);
    });
  });
}

describe('files do not need each other in circles', () => {
  test('the rule finds a circle of values, and lets types pass', () => {
    const files = [parse('src/a.ts', "import { b } from './b.ts';"), parse('src/b.ts', "import { a } from './a.ts';")];
    assert.deepEqual(rules.importCycles(files), ['src/a.ts → src/b.ts → src/a.ts']);
    const types = [
      parse('src/a.ts', "import { b } from './b.ts';"),
      parse('src/b.ts', "import type { a } from './a.ts';"),
    ];
    assert.deepEqual(rules.importCycles(types), []);
  });
  test('the tree keeps it', () => {
    assert.deepEqual(rules.importCycles(RUNTIME), []);
  });
});

test('the hot path marks files that are there', () => {
  const marked = RUNTIME.filter((file) => file.text.startsWith(`${rules.HOT_PATH_MARK}\n`));
  assert.ok(marked.length >= 10, `${marked.length} files`);
});

describe('continuous integration', () => {
  const TEST_COMMAND = 'npm ci && npm test';
  const script = readFileSync(join(ROOT, '.ci/run'), 'utf8');

  test('runs lint, type check and tidy, then exactly the test command of the README, and a bench that only gates', () => {
    const steps = [...script.matchAll(/^section '[^']+' (.+)$/gm)].map((match) => match[1]);
    assert.deepEqual(steps, [
      'npm ci',
      'npm run lint',
      'npm run typecheck',
      'npx tsx --test test/tidy/tidy.test.ts',
      `bash -c '${TEST_COMMAND}'`,
      'thrice npm run bench -- --quick --gate --scenario echo,lists,scaling,streams',
    ]);
    assert.ok(readFileSync(join(ROOT, 'README.md'), 'utf8').includes(TEST_COMMAND));
  });

  test('can be run as it is', () => {
    assert.equal(statSync(join(ROOT, '.ci/run')).mode & 0o111, 0o111);
  });
});
