/** The process that is killed: a node on a free port, that shares the Redis it is told of. */
import { Nodes } from './nodes.ts';

const redisUrl = process.argv[2];
if (redisUrl === undefined || process.send === undefined) throw new Error('to be forked, with the URL of a Redis');
const nodes = await Nodes.start(1, redisUrl, { logLevel: 'error' });
process.on('disconnect', () => process.exit(0));
process.send(nodes.urls[0]);
