/**
 * The heartbeat thread: connections of its own, and the `Heart` that uses them.
 *
 * Role: only joins; `src/cluster/heartbeat/thread.ts` starts it and speaks with it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Heart } from '../src/cluster/heartbeat/heart.ts';
import { LoadBoard } from '../src/cluster/heartbeat/load-board.ts';
import type { FromHeart, HeartSetup, ToHeart } from '../src/cluster/heartbeat/messages.ts';
import { RedisConnection } from '../src/redis/connection.ts';
import { RedisSubscriber } from '../src/redis/subscriber.ts';

const setup = workerData as HeartSetup;
const { commandMsMax, redisUrl, tlsCaFile } = setup;
const tell = (message: FromHeart): void => parentPort?.postMessage(message);

/** Errors keep what says something when they are copied to the other thread: those of a client may hold what cannot be. */
function log(level: 'info' | 'warn'): (fields: object, message: string) => void {
  return (fields, message) => {
    const err = (fields as { err?: unknown }).err;
    const told = err === undefined ? fields : { ...fields, err: said(err) };
    tell({ kind: 'log', level, fields: told, message });
  };
}

/** As the log writes errors of this thread: an object, so that the member has one type in every line. */
function said(error: unknown): object {
  return error instanceof Error ? { type: error.name, message: error.message } : { message: String(error) };
}

const redisLog = { info: log('info'), warn: log('warn') };
const heart = new Heart(setup, {
  commands: new RedisConnection(redisUrl, 'heartbeat', redisLog, { commandMsMax, tlsCaFile }),
  subscriber: new RedisSubscriber(redisUrl, redisLog, tlsCaFile),
  board: new LoadBoard(setup.board),
  tell,
  now: () => performance.now(),
});
parentPort?.on('message', (message: ToHeart) => {
  heart.take(message);
});
heart.start();
