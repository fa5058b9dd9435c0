/**
 * A heart in this thread, whose time is the test's own.
 */
import { Heart } from '../../../src/cluster/heartbeat/heart.ts';
import { LoadBoard } from '../../../src/cluster/heartbeat/load-board.ts';
import type { Sighting } from '../../../src/cluster/heartbeat/messages.ts';
import type { NodeFacts } from '../../../src/cluster/port.ts';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { RedisSubscriber } from '../../../src/redis/subscriber.ts';
import { eventually } from '../../clients/eventually.ts';
import { QUIET } from '../../redis/redis-server.ts';

/** So long that nothing but the test makes the heart beat. */
const HEARTBEAT_MS = 600_000;
export const TTL_MS = 3 * HEARTBEAT_MS;
export const PATIENCE_MS = 60_000;
export const FACTS: NodeFacts = { status: 'running', url: 'http://127.0.0.1:1', maxLoad: 1, tools: [], version: '1' };

export class BeatingHeart {
  readonly heart: Heart;
  nowMs = 0;
  seen: Sighting = { nodes: [], epoch: 0, read: false, fenced: false, trouble: '' };
  sightings = 0;
  /** Resolves when it hears what others publish. */
  readonly listens: Promise<void>;
  readonly #board = new LoadBoard();

  /** `askedUrl`: where it reaches the same Redis with commands. */
  constructor(url: string, askedUrl = url, heartbeatMs = HEARTBEAT_MS) {
    this.#board.start(() => 0);
    const commands = new RedisConnection(askedUrl, 'heart', QUIET);
    const subscriber = new RedisSubscriber(url, QUIET);
    this.listens = subscriber.standing;
    const setup = {
      id: 'n1',
      redisUrl: url,
      tlsCaFile: '',
      commandMsMax: 0,
      prefix: 'mcp:',
      heartbeatMs,
      presence: { key: 'mcp:there:n1', start: 's' },
    };
    this.heart = new Heart(
      { ...setup, epoch: 0, known: [], facts: FACTS, board: this.#board.shared },
      {
        commands,
        subscriber,
        board: this.#board,
        now: () => this.nowMs,
        tell: (message) => {
          if (message.kind !== 'seen') return;
          this.seen = message.sighting;
          this.sightings += 1;
        },
      },
    );
  }

  get ids(): string {
    return this.seen.nodes.map(({ id }) => id).join();
  }

  sees(wanted: string): Promise<string> {
    return eventually(
      'the nodes',
      () => this.ids,
      (ids) => ids === wanted,
      PATIENCE_MS,
    );
  }

  /** Resolves when it has looked at the registry so many times more. */
  async looked(times: number): Promise<void> {
    const before = this.sightings;
    await eventually(
      'looks',
      () => this.sightings - before,
      (count) => count >= times,
      PATIENCE_MS,
    );
  }

  /** As when its facts change. */
  beat(): void {
    this.heart.take({ kind: 'facts', facts: FACTS });
  }

  end(): void {
    this.heart.take({ kind: 'leave' });
    this.#board.stop();
  }
}
