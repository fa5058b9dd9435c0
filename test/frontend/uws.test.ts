/** The contract on uWebSockets.js. Where no build of it loads, that has to be said instead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadNative } from '../../src/frontend/uws/load.ts';
import { httpContract } from './http.contract.ts';
import { openScripted } from './scripted-handler.ts';

const loaded = loadNative();
if ('native' in loaded) {
  httpContract('uws');
} else {
  test('uws: refuses to open, with the reasons, where no native build loads', async () => {
    await assert.rejects(openScripted('uws'), (error: Error) => loaded.reasons.every((why) => error.message.includes(why)));
  });
}
