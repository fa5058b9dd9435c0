/**
 * The rules of taste, each a function from one file to its complaints: `path:line what`.
 *
 * Each rule is shown in `tidy.test.ts` to catch a file that breaks it, and then held against the whole tree.
 */
import ts from 'typescript';
import { ENVIRONMENT_HOMES, EVERYWHERE, HOMES, MAY_IMPORT, NEVER, SEAMS, TYPES_ALSO } from './import-table.ts';
import { type Import, lineOf, nodesOf, type SourceFile } from './source-tree.ts';

export type Rule = (file: SourceFile) => string[];

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 60;
const HEADER_LINES_MIN = 3;
const HEADER_LINES_MAX = 24;
export const HOT_PATH_MARK = '// HOT PATH';

/** Spelled in halves: the rules hold for this file too. */
const BANNED_WORDS = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'];
const MACHINE_PATHS = ['/wo' + 'rk/', '/ro' + 'ot/', '/ho' + 'me/'];

const at = (file: SourceFile, node: ts.Node, what: string): string => `${file.path}:${lineOf(file, node)} ${what}`;

/** A rule that looks at nodes one by one; a complaint or null for each. */
const perNode =
  (judge: (node: ts.Node, file: SourceFile) => string | null): Rule =>
  (file) => {
    const complaints: string[] = [];
    for (const node of nodesOf(file.tree)) {
      const complaint = judge(node, file);
      if (complaint !== null) complaints.push(at(file, node, complaint));
    }
    return complaints;
  };

export const fileLength: Rule = (file) =>
  file.lines > FILE_LINES_MAX ? [`${file.path}:1 has ${file.lines} lines, at most ${FILE_LINES_MAX}`] : [];

export const functionLength: Rule = perNode((node, file) => {
  if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return null;
  const from = file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree)).line;
  const to = file.tree.getLineAndCharacterOfPosition(node.end).line;
  const lines = to - from + 1;
  return lines > FUNCTION_LINES_MAX ? `function of ${lines} lines, at most ${FUNCTION_LINES_MAX}` : null;
});

/** After `#!` and the hot-path mark: a block comment of 3 to 24 lines, drawings included. */
export const headerComment: Rule = (file) => {
  const text = file.text.replace(/^#!.*\n/, '').replace(/^\/\/ HOT PATH\n/, '');
  const header = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[0];
  const lines = header === undefined ? 0 : header.split('\n').length;
  if (lines >= HEADER_LINES_MIN && lines <= HEADER_LINES_MAX) return [];
  return [`${file.path}:1 begins with a comment of ${lines} lines, not ${HEADER_LINES_MIN} to ${HEADER_LINES_MAX}`];
};

export const bannedWords: Rule = (file) =>
  file.text.split('\n').flatMap((line, index) => {
    const word = BANNED_WORDS.find((banned) => new RegExp(`\\b${banned}\\b`).test(line));
    const path = MACHINE_PATHS.find((machinePath) => line.includes(machinePath));
    const found = word ?? path;
    return found === undefined ? [] : [`${file.path}:${index + 1} says ${found}`];
  });

export const noExportStar: Rule = perNode((node) =>
  ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause))
    ? 'export *: name what is exported'
    : null,
);

export const noDefaultExport: Rule = perNode((node) => {
  const isAssignment = ts.isExportAssignment(node);
  return isAssignment ||
    (node.kind === ts.SyntaxKind.DefaultKeyword && node.parent.kind !== ts.SyntaxKind.DefaultClause)
    ? 'default export'
    : null;
});

export const noEmptyCatch: Rule = perNode((node) =>
  ts.isCatchClause(node) && node.block.statements.length === 0 ? 'empty catch' : null,
);

export const noAny: Rule = perNode((node) => (node.kind === ts.SyntaxKind.AnyKeyword ? 'any: narrow unknown' : null));

export const noEnvironment: Rule = perNode((node, file) =>
  ts.isPropertyAccessExpression(node) &&
  node.getText(file.tree) === 'process.env' &&
  !ENVIRONMENT_HOMES.includes(file.path)
    ? `process.env: touched in ${ENVIRONMENT_HOMES.join(', ')} only`
    : null,
);

/**
 * No `await`, no spread and no error made while a request is served. Constructors and `create…` functions run at
 * start; an error that is thrown is a bug being found, not an outcome.
 */
export const hotPath: Rule = (file) => {
  if (!file.text.startsWith(`${HOT_PATH_MARK}\n`)) return [];
  return perNode((node) => {
    if (!isServing(node)) return null;
    if (ts.isAwaitExpression(node)) return 'await on the hot path';
    if (ts.isSpreadElement(node) || ts.isSpreadAssignment(node)) return 'spread on the hot path';
    const isError = ts.isNewExpression(node) && /Error$/.test(node.expression.getText(file.tree));
    return isError && !ts.isThrowStatement(node.parent) ? 'new error on the hot path' : null;
  })(file);
};

const AT_START = /^(create|compile|open)/;

/** Inside a function that does not run at start. */
function isServing(node: ts.Node): boolean {
  let inside = false;
  for (let outer = node.parent; outer !== undefined; outer = outer.parent) {
    if (ts.isConstructorDeclaration(outer)) return false;
    if (ts.isFunctionDeclaration(outer)) return !AT_START.test(outer.name?.text ?? '');
    inside ||= ts.isFunctionLike(outer);
  }
  return inside;
}

/** A test that is left out, or leaves all others out. */
export const noSkippedTests: Rule = perNode((node, file) => {
  if (ts.isPropertyAccessExpression(node)) {
    const text = node.getText(file.tree);
    if (/^(test|it|describe|suite)\.(skip|only|todo)$/.test(text)) return text;
  }
  const isSwitch = ts.isPropertyAssignment(node) && /^(skip|only|todo)$/.test(node.name.getText(file.tree));
  return isSwitch && isTestOptions(node.parent) ? `${node.name.getText(file.tree)} of a test` : null;
});

function isTestOptions(node: ts.Node): boolean {
  const call = node.parent;
  return ts.isCallExpression(call) && /^(test|it|describe|suite)$/.test(call.expression.getText());
}

/** `src/config`, `workers`, or the file itself directly under `src`. */
function folderOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'src' ? `${top}/${second}` : top;
}

const within = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`);

export const importDirection: Rule = (file) => {
  const from = folderOf(file.path);
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined) return [`${file.path}:1 stands in a folder that the import table does not know`];
  return file.imports
    .filter(
      ({ target }) => target !== '' && folderOf(target) !== from && !mayImport(from, allowed, target, file.imports),
    )
    .map(({ target }) => `${file.path}:1 imports ${target}`);
};

function mayImport(from: string, allowed: readonly string[], target: string, imports: readonly Import[]): boolean {
  const place = target.replace(/^src\//, '');
  if (NEVER.some(([folder, forbidden]) => folder === from && within(place, forbidden))) return false;
  if (allowed.some((entry) => within(place, entry)) || EVERYWHERE.includes(place)) return true;
  if (allowed.includes('*') && target.startsWith('src/') && !/^(cli|runtime|index\.ts)(\/|$)/.test(place)) return true;
  return SEAMS.includes(place) && imports.every((entry) => entry.target !== target || entry.typeOnly);
}

export const singleHomes: Rule = (file) =>
  file.imports.flatMap(({ specifier, target, typeOnly }) => {
    const home = target === '' ? HOMES.find(([dependency]) => dependency.test(specifier)) : undefined;
    if (home === undefined || home[1].some((place) => within(file.path, place))) return [];
    if (typeOnly && TYPES_ALSO.some(([dependency, place]) => dependency.test(specifier) && place === file.path))
      return [];
    return [`${file.path}:1 imports ${specifier}, whose home is ${home[1].join(' or ')}`];
  });

/** Files that need each other's values, each as `a → b → a`. */
export function importCycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const { target, typeOnly } of byPath.get(path)?.imports ?? []) {
      if (target !== '' && !typeOnly) visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const file of files) visit(file.path, []);
  return cycles;
}
