/**
 * Opens the stores in a folder, and closes them when a line comes in: `own-child FOLDER`. It lives on until it is killed.
 */
import { once } from 'node:events';
import { openStores } from '../../../src/streams/stores.ts';
import { say } from './child.ts';
import { DURABLE } from './durable.ts';

const stores = await openStores({ definitions: [DURABLE], dataDir: process.argv[2] as string, logBytesMax: 2 ** 20 });
say('open');
await once(process.stdin, 'data');
await stores.close();
say('closed');
await once(process.stdin, 'data');
