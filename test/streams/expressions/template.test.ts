import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExpressionError } from '../../../src/streams/expressions/error.ts';
import { objectEnvironment } from '../../../src/streams/expressions/scoped.ts';
import { resultScope } from '../../../src/streams/expressions/scopes.ts';
import { checkTemplate, compileTemplate, MESSAGE_CHARACTERS_MAX } from '../../../src/streams/expressions/template.ts';

const scope = resultScope(
  new Map([
    ['mean', 'number'],
    ['name', 'string'],
    ['best', 'list'],
  ]),
  new Map([['host', 'string']]),
);
const environment = objectEnvironment({
  mean: 73.333333333,
  name: 'x'.repeat(3000),
  best: ['a', 1],
  key: { host: 'web-1' },
});
const rendered = (text: string): string => compileTemplate(text, scope).render(environment);

test('expressions in braces become their values, for people', () => {
  assert.equal(rendered('{key.host} at {mean}'), 'web-1 at 73.333');
  assert.equal(rendered('{mean / 10000} {round(mean)} {mean > 70} {best} {start}'), '0.00733 73 true ["a",1] n/a');
});

test('doubled braces are braces, braces in strings do not end an expression', () => {
  assert.equal(rendered('{{{key.host}}}'), '{web-1}');
  assert.equal(rendered('{mean > 70 ? "}" : \'{\'}'), '}');
  assert.equal(rendered(''), '');
});

test('what is wrong is told with its position in the whole text', () => {
  const error = (text: string): ExpressionError => checkTemplate(text, scope) as ExpressionError;
  assert.equal(error('at {maen}').position, 4);
  assert.match(error('at {maen}').message, /did you mean mean\?/);
  assert.equal(error('at {mean').position, 3);
  assert.equal(error('at }').position, 3);
  assert.equal(error('{}').position, 1);
  assert.match(error('{mean}'.repeat(40)).message, /40 expressions .*at most 32/);
  assert.match(error('x'.repeat(2001)).message, /at most 2000/);
  assert.equal(checkTemplate('fine', scope), null);
});

test('the text made is bounded', () => {
  const text = rendered('{name}{name}');
  assert.equal(text.length, MESSAGE_CHARACTERS_MAX);
  assert.ok(text.endsWith('…'));
});

test('a cut goes through no character', () => {
  for (const before of ['', 'x']) {
    const text = compileTemplate(`${before}{name}`, scope).render(objectEnvironment({ name: '😀'.repeat(3000) }));
    assert.match(text, /^x?(😀)+…$/u);
    assert.ok(text.length >= MESSAGE_CHARACTERS_MAX - 1);
  }
});

test('a number that is infinite has no form, whatever is known of its type', () => {
  const values = objectEnvironment({ mean: Number.POSITIVE_INFINITY });
  for (const each of [scope, { ...scope, resolve: () => 'any' as const }]) {
    assert.equal(compileTemplate('{mean} {mean > 1}', each).render(values), 'n/a true');
  }
});
