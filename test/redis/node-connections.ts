/**
 * What one node has to a Redis of the test's: a connection for commands and one that listens.
 */
import { RedisConnection } from '../../src/redis/connection.ts';
import { RedisSubscriber } from '../../src/redis/subscriber.ts';
import { eventually } from '../clients/eventually.ts';
import { QUIET } from './redis-server.ts';

const PATIENCE_MS = 60_000;

export class NodeConnections {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;

  constructor(url: string, commandMsMax = 2_000, tlsCaFile = '') {
    this.commands = new RedisConnection(url, 'test', QUIET, { commandMsMax, tlsCaFile });
    this.subscriber = new RedisSubscriber(url, QUIET, tlsCaFile);
    this.subscriber.start();
  }

  /** Both take what they are given. */
  async ready(): Promise<this> {
    await this.commands.ready();
    await eventually('listening', () => this.subscriber.up, Boolean, PATIENCE_MS);
    return this;
  }

  close(): void {
    this.commands.close();
    this.subscriber.close();
  }
}
