/**
 * The connection against real servers of every kind it can be pointed at.
 */
import { makeCertificates } from './certificates.ts';
import { connectionContract, type Topology } from './connection.contract.ts';
import { RedisClusterServers } from './redis-cluster-servers.ts';
import { RedisServer, type RedisServerOptions } from './redis-server.ts';
import { SentinelGroup } from './sentinel-group.ts';

async function single(options: Partial<RedisServerOptions>): Promise<Topology> {
  const server = await RedisServer.start(options);
  return {
    url: server.url,
    caFile: options.tls?.caFile ?? '',
    flushScripts: async () => void (await server.run('SCRIPT', 'FLUSH')),
    async end() {
      await server.end();
      await options.tls?.remove();
    },
  };
}

connectionContract('one server', () => single({}));

connectionContract('one server with a password', () => single({ password: 'secret' }));

connectionContract('one server over TLS, with a user of its own', async () => {
  const user = { name: 'millrace', password: 'secret', rules: ['~*', '&*', '+@all', '-@dangerous', '+info'] };
  return single({ tls: await makeCertificates(), user: { ...user, rules: [...user.rules, '+script'] } });
});

connectionContract('Sentinel', async () => {
  const group = await SentinelGroup.start();
  return {
    url: group.url,
    caFile: '',
    flushScripts: async () => void (await group.run('SCRIPT', 'FLUSH')),
    end: () => group.end(),
  };
});

connectionContract('Cluster', async () => {
  const cluster = await RedisClusterServers.start();
  return {
    url: cluster.url,
    caFile: '',
    flushScripts: () => cluster.runEverywhere('SCRIPT', 'FLUSH'),
    end: () => cluster.end(),
  };
});
