/**
 * Which capability a question needs, which answers are good enough not to ask again, and what is said of the others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REVISION_2025_03_26, REVISION_2025_06_18, REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import { answerProblem, filledInProblem, missingCapability, type Question } from '../../workers/questions.ts';

const form: Question = {
  method: 'elicitation/create',
  params: {
    message: 'm',
    requestedSchema: {
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer' } },
      required: ['name'],
    },
  },
};
const url: Question = {
  method: 'elicitation/create',
  params: { mode: 'url', message: 'm', url: 'https://example.com' },
};
const sampling: Question = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };
const withTools: Question = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1, tools: [] } };
const roots: Question = { method: 'roots/list', params: {} };

test('an empty elicitation capability means forms only', () => {
  assert.equal(missingCapability(form, { elicitation: {} }, REVISION_2026_07_28), null);
  assert.deepEqual(missingCapability(url, { elicitation: {} }, REVISION_2026_07_28), { elicitation: { url: {} } });
  assert.equal(missingCapability(url, { elicitation: { url: {} } }, REVISION_2026_07_28), null);
  assert.deepEqual(missingCapability(form, { elicitation: { url: {} } }, REVISION_2026_07_28), {
    elicitation: { form: {} },
  });
});

test('what a client did not declare is named as the object it would have to declare', () => {
  assert.deepEqual(missingCapability(form, {}, REVISION_2026_07_28), { elicitation: {} });
  assert.deepEqual(missingCapability(sampling, {}, REVISION_2026_07_28), { sampling: {} });
  assert.deepEqual(missingCapability(withTools, { sampling: {} }, REVISION_2026_07_28), { sampling: { tools: {} } });
  assert.deepEqual(missingCapability(roots, {}, REVISION_2026_07_28), { roots: {} });
});

test('a revision without elicitation cannot be asked, whatever the client declares', () => {
  assert.deepEqual(missingCapability(form, { elicitation: {} }, REVISION_2025_03_26), { elicitation: {} });
  assert.equal(missingCapability(form, { elicitation: {} }, REVISION_2025_06_18), null);
});

test('answers of the wrong shape are asked for again', () => {
  const verdicts: [Question, unknown, boolean][] = [
    [form, { action: 'accept', content: { name: 'x' } }, true],
    [form, { action: 'accept', content: { name: 1 } }, false],
    [form, { action: 'accept', content: { name: 'x', age: 1.5 } }, false],
    [form, { action: 'accept', content: {} }, false],
    [form, { action: 'accept' }, false],
    [form, { action: 'decline' }, true],
    [form, { action: 'cancel' }, true],
    [form, { action: 'maybe' }, false],
    [form, 'accept', false],
    [form, null, false],
    [url, { action: 'accept' }, true],
    [sampling, { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' }, true],
    [sampling, { content: {} }, false],
    [roots, { roots: [] }, true],
    [roots, { roots: {} }, false],
  ];
  for (const [question, answer, fits] of verdicts)
    assert.equal(answerProblem(question, answer) === null, fits, JSON.stringify(answer));
});

test('what is wrong with an answer is said with its member, its value and what was expected', () => {
  const problems: [Question, unknown, string][] = [
    [form, 'accept', 'it must be an object, got "accept"'],
    [form, { action: 'maybe' }, 'action must be accept, decline or cancel, got "maybe"'],
    [form, { action: 'accept' }, 'content must have the property "name"'],
    [form, { action: 'accept', content: { name: 'x', age: 1.5 } }, 'content/age must be a whole number, got 1.5'],
    [sampling, { content: {} }, 'role must be a string, got nothing'],
    [roots, { roots: {} }, 'roots must be an array, got an object'],
  ];
  for (const [question, answer, problem] of problems) assert.equal(answerProblem(question, answer), problem);
});

test('a form that was filled in is held against every kind of member that forms have', () => {
  const properties = {
    seats: { type: 'integer', minimum: 1, maximum: 8 },
    email: { type: 'string', format: 'email' },
    day: { type: 'string', format: 'date' },
    name: { type: 'string', minLength: 2, maxLength: 4 },
    area: { type: 'string', enum: ['inside', 'outside'], enumNames: ['In', 'Out'] },
    meal: {
      type: 'string',
      oneOf: [
        { const: 'fish', title: 'Fish' },
        { const: 'none', title: 'None' },
      ],
    },
    extras: { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string', enum: ['wine', 'bread'] } },
    titled: { type: 'array', items: { anyOf: [{ const: 'a', title: 'A' }] } },
    agreed: { type: 'boolean' },
  };
  const asked: Question = {
    method: 'elicitation/create',
    params: { message: 'm', requestedSchema: { type: 'object', properties } },
  };
  const said = (content: object): string | null => filledInProblem(asked, { action: 'accept', content });
  const good = { seats: 8, email: 'a@b.at', day: '2026-02-28', name: '𝒳𝒴𝒵', area: 'inside', meal: 'fish' };
  assert.equal(said({ ...good, extras: ['wine', 'bread'], titled: ['a'], agreed: true, unasked: 'x' }), null);
  const wrong: [object, string][] = [
    [{ seats: 9 }, 'content/seats must be at most 8, got 9'],
    [{ seats: 0 }, 'content/seats must be at least 1, got 0'],
    [{ email: 'a at b' }, 'content/email must have the format "email", got "a at b"'],
    [{ day: '2026-02-30' }, 'content/day must have the format "date", got "2026-02-30"'],
    [{ name: '𝒳' }, 'content/name must be at least 2 characters long, got "𝒳"'],
    [{ name: 'abcde' }, 'content/name must be at most 4 characters long, got "abcde"'],
    [{ area: 'roof' }, 'content/area must be one of "inside", "outside", got "roof"'],
    [{ meal: 'Fish' }, 'content/meal must be one of "fish", "none", got "Fish"'],
    [{ extras: [] }, 'content/extras must be at least 1 items long, got an array of 0'],
    [{ extras: ['wine', 'wine', 'wine'] }, 'content/extras must be at most 2 items long, got an array of 3'],
    [{ extras: ['beer'] }, 'content/extras must only hold "wine", "bread", got an array of 1'],
    [{ titled: ['A'] }, 'content/titled must only hold "a", got an array of 1'],
  ];
  for (const [content, problem] of wrong) assert.equal(said(content), problem);
  assert.equal(filledInProblem(asked, { action: 'decline', content: { seats: 9 } }), null);
});
