/** The contract on node:http. */
import { describe } from 'node:test';
import { httpContract } from './http.contract.ts';
import { intakeContract } from './intake.contract.ts';
import { limitsContract } from './limits.contract.ts';
import { stormContract } from './storm.contract.ts';
import { streamsContract } from './streams.contract.ts';
import { websocketContract } from './websocket.contract.ts';

describe('front end contract', { concurrency: true, timeout: 300_000 }, () => {
  httpContract('node');
  intakeContract('node');
  streamsContract('node');
  websocketContract('node');
  limitsContract('node');
  stormContract('node');
});
