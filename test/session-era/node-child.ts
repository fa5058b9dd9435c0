/** The process that is killed: a node on a free port, that shares the Redis it is told of. */
import { Nodes } from './nodes.ts';

const [, , redisUrl, commandMsMax] = process.argv;
if (redisUrl === undefined || process.send === undefined) throw new Error('to be forked, with the URL of a Redis');
const cluster = { commandTimeoutMs: Number(commandMsMax) };
const nodes = await Nodes.start(1, redisUrl, { logLevel: 'error', cluster });
process.on('disconnect', () => process.exit(0));
process.send(nodes.urls[0]);
