/**
 * Which capability a question needs, and which answers are good enough not to ask again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REVISION_2025_03_26, REVISION_2025_06_18, REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import { answerFits, missingCapability, type Question } from '../../workers/questions.ts';

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
    assert.equal(answerFits(question, answer), fits, JSON.stringify(answer));
});
