import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { PatientTimer } from '../../src/redis/patient-timer.ts';
import { standStill } from '../clients/stand-still.ts';

const MS_MAX = 200;

describe('a limit on waiting', () => {
  test('is over after its time', async () => {
    const begun = performance.now();
    await new Promise<void>((resolve) => new PatientTimer(MS_MAX, resolve));
    assert.ok(performance.now() - begun >= MS_MAX - 1);
  });

  for (const stoodMs of [MS_MAX, MS_MAX + 500]) {
    test(`leaves what came while the process stood still for ${stoodMs} ms of ${MS_MAX}`, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      assert.ok(typeof address === 'object' && address !== null);
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      const client = connect(address.port, '127.0.0.1');
      const [[peer]] = await Promise.all([accepted, once(client, 'connect')]);
      try {
        const outcome = new Promise<string>((resolve) => {
          const timer = new PatientTimer(MS_MAX, () => resolve('given up'));
          client.once('data', () => {
            timer.clear();
            resolve('read');
          });
        });
        // It is in the client's socket when this returns.
        peer.write('x');
        standStill(stoodMs);
        assert.equal(await outcome, 'read');
      } finally {
        client.destroy();
        peer.destroy();
        server.close();
      }
    });
  }
});
