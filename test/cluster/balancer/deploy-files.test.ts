/**
 * The files of `deploy/` that no other test starts: they parse, they name what exists, the settings in them are accepted,
 * and their times fit together. HAProxy and nginx are checked by their own programs; so is the unit, where there is one.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { compileLoaded } from '../../../src/config/compile.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { Settings } from '../../../src/config/settings.ts';
import { PACKAGE_ROOT } from '../../../src/config/version.ts';
import { serve } from '../../clients/serve.ts';
import { commandFile } from '../../services.ts';
import { balancerFile, DEPLOY } from './balancers.ts';

/** A parsed file, looked into by people who know its shape. */
type Tree = { readonly [member: string]: Tree } & { readonly length?: number };

/** HAProxy and Kubernetes take at most this long to notice, as the files say. */
const NOTICED_MS_MAX = 4000;
const MACHINE = { cores: 2, memoryMiB: 4096, nodeId: 'test', stateSecret: 'x'.repeat(32) };
const POD_IP = '10.1.2.3';
const SECRET = 'of thirty-two characters or more';

const read = (name: string): string => readFileSync(join(DEPLOY, name), 'utf8');

async function settingsOf(env: Readonly<Record<string, string>>): Promise<Settings> {
  const importModule = async (): Promise<never> => assert.fail('no configuration file is meant');
  const loaded = await loadConfig({ flags: new Map(), configFile: null, env, cwd: tmpdir(), importModule });
  return compileLoaded(loaded, MACHINE);
}

/** A temporary folder for one check. */
function inFolder<T>(check: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-deploy-'));
  try {
    return check(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function accepted(file: string, args: readonly string[]): void {
  const { status, stderr, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stdout}${stderr}`);
}

const millis = (duration: string): number => Number.parseFloat(duration) * 1000;

function checkTimes(settings: Settings, killedAfterMs: number, beforeMs = 0): void {
  assert.ok(settings.drainDelayMs > NOTICED_MS_MAX, `noticed in time: ${settings.drainDelayMs}`);
  assert.ok(killedAfterMs > beforeMs + settings.drainDelayMs + settings.shutdownGraceMs, `killed: ${killedAfterMs}`);
}

describe('deploy', () => {
  test('haproxy.cfg is valid with its defaults', () => {
    accepted(balancerFile('haproxy'), ['-c', '-f', join(DEPLOY, 'haproxy.cfg')]);
  });

  test('nginx.conf is valid with the files beside it', () => {
    inFolder((folder) => accepted(balancerFile('nginx'), ['-t', '-p', folder, '-c', join(DEPLOY, 'nginx/nginx.conf')]));
  });

  test('docker-compose.yaml: three nodes that HAProxy knows, and times that fit', async () => {
    const compose = parse(read('docker-compose.yaml'), { merge: true }) as Tree;
    const services = compose['services'] as Tree;
    const balancer = services['haproxy']?.['environment'] as unknown as Record<string, string>;
    for (const number of [1, 2, 3]) {
      const node = services[`node-${number}`];
      const environment = node?.['environment'] as unknown as Record<string, string>;
      const settings = await settingsOf({ ...environment, MILLRACE_HOST: '0.0.0.0' });
      checkTimes(settings, millis(String(node?.['stop_grace_period'])));
      assert.equal(settings.nodeId, `node-${number}`);
      assert.equal(settings.cluster.url, `http://${balancer[`BALANCER_NODE_${number}`]}`);
      assert.ok(settings.allowedHosts.includes(new URL(settings.cluster.url).hostname));
      assert.ok(settings.allowedHosts.includes('localhost'));
      const address = node?.['networks']?.['nodes']?.['ipv4_address'];
      assert.equal(String(address), new URL(settings.cluster.url).hostname);
      assert.ok(existsSync(join(DEPLOY, '..', String(node?.['build']?.['dockerfile']))));
    }
    assert.ok(balancer['BALANCER_BIND']?.endsWith(':8080'));
  });

  test('the Dockerfile copies what a build makes', () => {
    const copied = [...read('Dockerfile').matchAll(/^COPY --from=build \/build\/(\S+)/gm)].map((match) => match[1]);
    assert.deepEqual(copied, ['package.json', 'node_modules', 'dist/src', 'dist/workers']);
    for (const path of copied) assert.ok(existsSync(join(PACKAGE_ROOT, path ?? '')), path);
    assert.match(read('Dockerfile'), /^CMD \["node", "dist\/src\/cli\/main.js", "serve"\]$/m);
  });

  test('the health check of the image: a node is live whatever names its clients use, and dead when it is gone', async () => {
    const command = /^HEALTHCHECK [^[]*CMD (\[.*\])$/m.exec(read('Dockerfile'))?.[1];
    const [, ...args] = JSON.parse(command ?? '[]') as string[];
    const served = await serve('auto', { host: '0.0.0.0', allowedHosts: ['mcp.example.com'] });
    const exitCode = async (): Promise<unknown> => {
      const env = { ...process.env, MILLRACE_PORT: String(served.port) };
      return (await once(spawn(process.execPath, args, { env }), 'exit'))[0];
    };
    try {
      assert.equal(await exitCode(), 0);
    } finally {
      await served.close();
    }
    assert.equal(await exitCode(), 1);
  });

  test('kubernetes.yaml: selectors, probes, budgets and times fit together', async () => {
    const documents = parseAllDocuments(read('kubernetes.yaml'));
    assert.deepEqual(
      documents.flatMap((document) => document.errors),
      [],
    );
    const kinds = new Map(
      documents.map((document) => document.toJS() as Tree).map((tree) => [String(tree['kind']), tree]),
    );
    const expected = ['Deployment', 'Service', 'HorizontalPodAutoscaler', 'PodDisruptionBudget'];
    assert.deepEqual([...kinds.keys()], expected);
    const deployment = kinds.get('Deployment')?.['spec'] as Tree;
    const pod = deployment['template']?.['spec'] as Tree;
    const labels = deployment['template']?.['metadata']?.['labels'];
    assert.deepEqual(deployment['selector']?.['matchLabels'], labels);
    assert.deepEqual(kinds.get('Service')?.['spec']?.['selector'], labels);
    assert.deepEqual(kinds.get('PodDisruptionBudget')?.['spec']?.['selector']?.['matchLabels'], labels);
    const scaled = kinds.get('HorizontalPodAutoscaler')?.['spec'] as Tree;
    assert.equal(scaled['scaleTargetRef']?.['name'], kinds.get('Deployment')?.['metadata']?.['name']);
    assert.ok(Number(scaled['minReplicas']) > 1);
    const container = (pod['containers'] as unknown as readonly Tree[])[0] as Tree;
    const settings = await settingsOf(podEnvironment(container));
    const preStop = container['lifecycle']?.['preStop']?.['exec']?.['command'] as unknown as readonly string[];
    checkTimes(settings, Number(pod['terminationGracePeriodSeconds']) * 1000, Number(preStop[1]) * 1000);
    assert.ok(settings.residentMiBMax < MACHINE.memoryMiB);
    for (const [probe, path] of [
      ['startupProbe', '/health/ready'],
      ['readinessProbe', '/health/ready'],
      ['livenessProbe', '/health/live'],
    ] as const) {
      const get = container[probe]?.['httpGet'] as Tree;
      const [host] = get['httpHeaders'] as unknown as readonly { readonly name: string; readonly value: string }[];
      assert.deepEqual([get['path'], get['port'], host?.name], [path, 'http', 'Host']);
      assert.ok(settings.allowedHosts.includes(host?.value ?? ''));
    }
  });

  test('millrace.service: the settings are accepted, and systemd waits for the drain', async () => {
    const unit = read('millrace.service');
    const environment = [...unit.matchAll(/^Environment=([A-Z_]+)=(.*)$/gm)].map((match) => [match[1], match[2]]);
    const settings = await settingsOf(Object.fromEntries(environment) as Record<string, string>);
    checkTimes(settings, Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) * 1000);
    const example = /^# {3}MILLRACE_ALLOWED_HOSTS=(.*)$/m.exec(unit)?.[1]?.split(',') ?? [];
    const checked = /BALANCER_HEALTH_HOST-([^}]+)/.exec(read('haproxy.cfg'))?.[1] ?? '';
    assert.ok(example.includes(checked), `${checked} is not among ${example.join(', ')}`);
    const verifier = commandFile('systemd-analyze');
    if (verifier === null) return;
    // Where Node.js is differs between machines, and the verifier looks for it.
    inFolder((folder) => {
      const copy = join(folder, 'millrace.service');
      writeFileSync(copy, unit.replace('/usr/bin/node', process.execPath));
      accepted(verifier, ['verify', '--man=no', copy]);
    });
  });
});

/** As the kubelet would fill it in. */
function podEnvironment(container: Tree): Record<string, string> {
  const given = container['env'] as unknown as readonly { readonly name: string; readonly value?: string }[];
  const secret: Record<string, string> = { MILLRACE_CLUSTER_SECRET: SECRET, MILLRACE_REDIS_URL: 'redis://redis:6379' };
  const filled = given.map(({ name, value }) => [
    name,
    value?.replaceAll('$(POD_IP)', POD_IP) ?? secret[name] ?? 'pod',
  ]);
  const image = [...read('Dockerfile').matchAll(/(MILLRACE_[A-Z_]+)=(\S+)/g)].map((match) => [match[1], match[2]]);
  return Object.fromEntries([...image, ...filled]) as Record<string, string>;
}
