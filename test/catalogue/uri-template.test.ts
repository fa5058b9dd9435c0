import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { matchUnbounded, parseUriTemplate, URI_CHARS_MAX } from '../../src/catalogue/uri-template.ts';
import { readTemplate, TEMPLATE_CHARS_MAX, TEMPLATE_VARIABLES_MAX } from '../../src/catalogue/uri-template-syntax.ts';
import { fastestMs, LINEAR_MS } from '../clients/processor-time.ts';
import { expandTemplate } from './uri-template-expand.ts';

function match(template: string, uri: string): Record<string, string> | null {
  const found = parseUriTemplate(template).match(uri);
  return found === null ? null : { ...found };
}

describe('URI templates match', () => {
  const cases: readonly (readonly [template: string, uri: string, variables: Record<string, string> | null])[] = [
    ['test://static', 'test://static', {}],
    ['test://static', 'test://static/', null],
    ['test://template/{id}/data', 'test://template/123/data', { id: '123' }],
    ['test://template/{id}/data', 'test://template//data', null],
    ['test://template/{id}/data', 'test://template/1/2/data', null],
    ['test://template/{id}/data', 'test://template/1/data/x', null],
    ['a://{x}-data', 'a://p-data-data', { x: 'p-data' }],
    ['a://{x}{y}', 'a://ab', { x: 'a', y: 'b' }],
    ['a://{x,y}', 'a://1,2', { x: '1', y: '2' }],
    ['a://{x,y}', 'a://1', { x: '1' }],
    ['a://{id}', 'a://caf%C3%A9%20%2F', { id: 'café /' }],
    ['a://{id}', 'a://café au lait', { id: 'café au lait' }],
    ['a://{id}', 'a://%E0%A4%A', null],
    ['a://{id}', 'a://%FF', null],
    ['a://{+path}/{id}', 'a://p/q/r', { path: 'p/q', id: 'r' }],
    ['a://h{/a,b}', 'a://h/1/2', { a: '1', b: '2' }],
    ['a://h{/a,b}', 'a://h', {}],
    ['a://h{/path*}', 'a://h/1/2/3', { path: '1/2/3' }],
    ['a://h{/path*}/end', 'a://h/1/end/end', { path: '1/end' }],
    ['a://f{.ext}', 'a://f.tar', { ext: 'tar' }],
    ['a://f{.x,y}', 'a://f.tar.gz', { x: 'tar', y: 'gz' }],
    ['a://p{;x,empty}', 'a://p;x=1;empty', { x: '1', empty: '' }],
    ['a://p{#frag}', 'a://p#a/b?c', { frag: 'a/b?c' }],
    ['a://s{?q,page}', 'a://s?q=x%26y&page=2', { q: 'x&y', page: '2' }],
    ['a://s{?q,page}', 'a://s?page=2&q=x', { q: 'x', page: '2' }],
    ['a://s{?q,page}', 'a://s?page=2', { page: '2' }],
    ['a://s{?q,page}', 'a://s', {}],
    ['a://s{?q,page}', 'a://s?q=1&other=2', null],
    ['a://s{?q}', 'a://s?q=1&q=2', null],
    ['a://s?fixed=1{&q}', 'a://s?fixed=1&q=2', { q: '2' }],
    ['a://s{?q}{#f}', 'a://s?q=1#top', { q: '1', f: 'top' }],
    ['a://{+path}{?q}', 'a://x/y?q=1', { path: 'x/y', q: '1' }],
    ['a://{+path}{?q}', 'a://x/y?z=1', { path: 'x/y?z=1' }],
    ['a://{__proto__}', 'a://x', JSON.parse('{"__proto__":"x"}') as Record<string, string>],
  ];
  for (const [template, uri, variables] of cases) {
    test(`${template} and ${uri}`, () => assert.deepEqual(match(template, uri), variables));
  }

  test('a URI past the limit matches nothing', () => {
    const template = parseUriTemplate('a://{+x}');
    assert.ok(template.match(`a://${'x'.repeat(URI_CHARS_MAX - 4)}`) !== null);
    assert.equal(template.match(`a://${'x'.repeat(URI_CHARS_MAX - 3)}`), null);
  });
});

describe('URI templates are refused', () => {
  const cases: readonly (readonly [template: string, why: RegExp])[] = [
    ['a://{x', /the "\{" at character 4 is never closed/],
    ['a://x}', /a "\}" without its "\{"/],
    ['a://{}', /is not a variable name/],
    ['a://{x y}', /is not a variable name/],
    ['a://{x:3}', /prefix lengths/],
    ['a://{x*}', /only \{\/name\*\} is understood/],
    ['a://{=x}', /is not a variable name/],
    ['a://{x}{x}', /the variable "x" occurs twice/],
    ['a://s{?q}/tail', /text after a query expression/],
    ['a://s{?q}{x}', /only one \{#name\} may follow it/],
    ['a://{/x*,y}', /takes one variable/],
  ];
  for (const [template, why] of cases) {
    test(template, () => assert.throws(() => parseUriTemplate(template), { name: 'DefinitionError', message: why }));
  }

  test('for their length and their number of variables', () => {
    assert.throws(() => parseUriTemplate('a'.repeat(TEMPLATE_CHARS_MAX + 1)), /at most/);
    const many = Array.from({ length: TEMPLATE_VARIABLES_MAX + 1 }, (_, i) => `{v${i}}/`).join('');
    assert.throws(() => parseUriTemplate(`a://${many}`), /variables; at most/);
  });
});

/** Templates that mark the place of each value, with values they can hold. */
const clearTemplate = fc
  .array(fc.constantFrom('/{a}', '{/b}', '/x{.c}', '/y{;d,e}', '{/f*}/z', '/w-{g,h}', '/v={i}!', '/u{/j,k}/t'), {
    minLength: 0,
    maxLength: 3,
  })
  .chain((parts) =>
    fc.constantFrom('', '{?q,r}', '{?q}{&r}', '?s=1{&q,r}', '{#t}', '{?q,r}{#t}').map((end) => {
      const text = parts.map((part, i) => part.replace(/[a-k](?=[},*])/g, (name) => name + i)).join('/l');
      return `m://host${text}${end}`;
    }),
  );

const valuesFor = (template: string): fc.Arbitrary<Record<string, string>> => {
  const arbitraries: Record<string, fc.Arbitrary<string | undefined>> = {};
  for (const name of readTemplate(template).variables) {
    const exploded = template.includes(`${name}*`);
    const value = exploded
      ? fc
          .array(fc.string({ unit: 'grapheme', minLength: 1 }).filter(wellFormed), { minLength: 1, maxLength: 4 })
          .map((s) => s.map((one) => one.replaceAll('/', '')).join('/'))
      : fc.string({ unit: 'grapheme' }).filter(wellFormed);
    arbitraries[name] = fc.option(value, { nil: undefined });
  }
  return fc.record(arbitraries) as fc.Arbitrary<Record<string, string>>;
};
const wellFormed = (text: string): boolean => Buffer.from(text).toString() === text;

describe('matching undoes expanding', () => {
  test('what a template expands to, it matches, and the values found expand to the same URI', () => {
    fc.assert(
      fc.property(
        clearTemplate.chain((template) => fc.tuple(fc.constant(template), valuesFor(template))),
        ([template, values]) => {
          const given: Record<string, string> = { ...values };
          // Simple expansion needs its first value: an empty or absent one leaves no trace in the URI.
          for (const name of Object.keys(given)) {
            // A dot in a label would end it: dots are what labels are separated by.
            if (operatorOf(template, name) === '.') given[name] = given[name]?.replaceAll('.', '') ?? 'v';
            const required = template.includes(`{${name}}`) || template.includes(`{${name},`);
            if (required && (given[name] ?? '') === '') given[name] = 'v';
          }
          for (const name of readTemplate(template).variables) {
            const follows = template.includes(`,${name}}`) && !/[?&;/.#+]/.test(operatorOf(template, name));
            if (follows && given[name] === '') delete given[name];
          }
          const uri = expandTemplate(template, given);
          const found = matchUnbounded(readTemplate(template), uri);
          assert.notEqual(found, null, `${template} does not match ${uri}`);
          assert.equal(expandTemplate(template, found as Record<string, string>), uri);
        },
      ),
      { numRuns: 400 },
    );
  });

  test('values between plain separators come back as they were', () => {
    const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter(wellFormed);
    fc.assert(
      fc.property(value, value, fc.string({ unit: 'grapheme' }).filter(wellFormed), (id, name, q) => {
        const template = 'm://x/{id}/y/{name}{?q}';
        const uri = expandTemplate(template, { id, name, q });
        assert.deepEqual(match(template, uri), { id, name, q });
      }),
    );
  });
});

function operatorOf(template: string, name: string): string {
  const before = template.slice(0, template.indexOf(name));
  return before.charAt(before.lastIndexOf('{') + 1);
}

describe('matching takes linear time', () => {
  const hostile: readonly (readonly [template: string, repeated: string])[] = [
    ['h://x{/id*}', '/a'],
    ['h://x{/id*}/end', '/end/a'],
    ['h://x{/id*}/a/a/a/b', '/a'],
    ['h://x{+a}x{+b}x{+c}x{+d}y', 'x'],
    ['h://x{/a,b,c,d,e}!', '/a'],
    ['h://x{a,b,c,d}!', 'x,'],
    ['h://x{;a,b,c}!', ';a'],
    ['h://x{.a,b,c}!', '.a'],
    ['h://x{?q,r}', '?'],
    ['h://x{?q,r}', '&q=1'],
    [`h://x{+a}${'ab'.repeat(500)}c{+b}`, 'ab'],
  ];
  for (const [template, repeated] of hostile) {
    test(`${template.slice(0, 40)} with 50,000 × ${repeated}`, () => {
      const syntax = readTemplate(template);
      const uri = `h://x${repeated.repeat(50_000)}`;
      const ms = fastestMs(5, () => matchUnbounded(syntax, uri));
      assert.ok(ms < LINEAR_MS, `${ms.toFixed(1)} ms`);
    });
  }

  test('a template of 50,000 expressions is refused at once', () => {
    const template = 'h://x{/id*}'.repeat(50_000);
    const ms = fastestMs(5, () => assert.throws(() => parseUriTemplate(template), /at most/));
    assert.ok(ms < LINEAR_MS, `${ms.toFixed(1)} ms`);
  });
});
