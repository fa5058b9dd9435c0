/** The contract on uWebSockets.js. Where no build of it loads, that has to be said instead. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadNative } from '../../src/frontend/uws/load.ts';
import { httpContract } from './http.contract.ts';
import { intakeContract } from './intake.contract.ts';
import { limitsContract } from './limits.contract.ts';
import { openScripted } from './scripted-handler.ts';
import { stormContract } from './storm.contract.ts';
import { streamsContract } from './streams.contract.ts';
import { websocketContract } from './websocket.contract.ts';

const loaded = loadNative();
if ('native' in loaded) {
  // At once: the library's own limit for slow headers takes 10 s, the rest does not.
  describe('front end contract', { concurrency: true, timeout: 300_000 }, () => {
    httpContract('uws');
    intakeContract('uws');
    streamsContract('uws');
    websocketContract('uws');
    limitsContract('uws');
    stormContract('uws');
  });
} else {
  test('uws: refuses to open, with the reasons, where no native build loads', async () => {
    await assert.rejects(openScripted('uws'), (error: Error) =>
      loaded.reasons.every((why) => error.message.includes(why)),
    );
  });
}
