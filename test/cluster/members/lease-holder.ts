/**
 * A process that holds a lease: `lease-holder URL NODE NAME TTL`. It prints its token; for every line it reads it writes
 * that line under the lease and prints what came of it, and whether it had believed that it holds the lease.
 */
import { createInterface } from 'node:readline';
import { leaseKey } from '../../../src/cluster/leases/lease-script.ts';
import { RedisLeases } from '../../../src/cluster/leases/redis-leases.ts';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { QUIET } from '../../redis/redis-server.ts';
import { guardedScript, isFenced } from './guarded-script.ts';

const SAVE = guardedScript(`return redis.call('SET', KEYS[2], ARGV[2])`);
const [url = '', nodeId = '', name = '', ttlMs = ''] = process.argv.slice(2);
const commands = new RedisConnection(url, nodeId, QUIET);
await commands.ready();
const leases = new RedisLeases({
  commands,
  nodeId,
  prefix: 'mcp:',
  ttlMs: Number(ttlMs),
  now: () => performance.now(),
});
const lease = await leases.acquire(name);
if (lease === null) throw new Error('somebody else holds it');
console.log(lease.token);
for await (const line of createInterface({ input: process.stdin })) {
  const { held } = lease;
  await commands.ready();
  const saved = commands.script(SAVE, [leaseKey('mcp:', name), `data:{${name}}`], [lease.token, line]);
  const outcome = await saved.then(
    () => 'saved',
    (error: unknown) => (isFenced(error) ? 'fenced' : String(error)),
  );
  console.log(JSON.stringify({ held, outcome }));
}
await leases.close();
commands.close();
