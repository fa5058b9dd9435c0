/**
 * What somebody who writes against the package can name: every type that an exported declaration mentions is exported
 * too. Without it a reducer, a handler or a list of pattern steps kept in a variable has no type to be given.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { projectRoot } from './source-tree.ts';

const ROOT = projectRoot();
const SOURCE = join(ROOT, 'src');
/** Parts of the runtime that its interface lets be looked at: nobody makes one. `LogLevels`: the table behind `LogLevel`. */
const INSIDE: ReadonlySet<string> = new Set(['LogLevels', 'MutableCatalogue', 'RuntimeParts', 'Settings']);

const options = ts.getParsedCommandLineOfConfigFile(join(ROOT, 'tsconfig.json'), {}, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => assert.fail(String(diagnostic.messageText)),
} satisfies ts.ParseConfigFileHost)?.options;
assert.ok(options !== undefined);
const program = ts.createProgram([join(SOURCE, 'index.ts')], { ...options, noEmit: true });
const checker = program.getTypeChecker();

const behindAlias = (symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

/** Types of this project that a declaration names, outside the bodies of its functions. */
function named(declaration: ts.Node): ts.Symbol[] {
  const found: ts.Symbol[] = [];
  const look = (node: ts.Node): void => {
    if (ts.isBlock(node) || ts.isPrivateIdentifier(node)) return;
    const name = ts.isTypeReferenceNode(node)
      ? node.typeName
      : ts.isExpressionWithTypeArguments(node)
        ? node.expression
        : undefined;
    const symbol = name === undefined ? undefined : checker.getSymbolAtLocation(name);
    if (symbol !== undefined) found.push(behindAlias(symbol));
    ts.forEachChild(node, look);
  };
  look(declaration);
  return found.filter(({ declarations = [], flags }) => {
    if (flags & ts.SymbolFlags.TypeParameter) return false;
    return declarations.some((place) => place.getSourceFile().fileName.startsWith(SOURCE));
  });
}

test('types that exported declarations name are exported', () => {
  const index = program.getSourceFile(join(SOURCE, 'index.ts'));
  assert.ok(index !== undefined);
  const module = checker.getSymbolAtLocation(index);
  assert.ok(module !== undefined);
  const exported = checker.getExportsOfModule(module).map(behindAlias);
  assert.ok(exported.length > 30);
  // Named by nothing: a module of the author's keeps to it.
  assert.ok(exported.some(({ name }) => name === 'Reducer'));
  const missing = exported.flatMap((symbol) =>
    (symbol.declarations ?? [])
      .flatMap(named)
      .filter((type) => !exported.includes(type) && !INSIDE.has(type.name))
      .map((type) => `${symbol.name} names ${type.name}`),
  );
  assert.deepEqual([...new Set(missing)], []);
});
