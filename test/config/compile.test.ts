import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { compileSettings } from '../../src/config/compile.ts';
import { inUrl, isEveryInterface } from '../../src/config/host-name.ts';
import { thisMachine } from '../../src/config/machine.ts';
import type { RawConfig } from '../../src/config/raw.ts';
import { MILLRACE_VERSION } from '../../src/config/version.ts';
import { makeCertificates } from '../redis/certificates.ts';
import { folderWith, given, MACHINE, problemsOf, settingsFrom } from './sources.ts';

const ENCRYPTED_KEY = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n';

const compile = (raw: RawConfig) => compileSettings(raw, MACHINE);
const refusals = (raw: unknown) => problemsOf(() => compile(raw as RawConfig));

describe('settings', () => {
  test('without options are the documented defaults', () => {
    const settings = compile({});
    assert.deepEqual(
      {
        address: [settings.host, settings.port, settings.tls, settings.frontend],
        load: [settings.workers, settings.queueSize, settings.maxConcurrent, settings.overload],
        times: [settings.requestTimeoutMs, settings.killGraceMs, settings.shutdownGraceMs, settings.heartbeatMs],
        bytes: [settings.requestBytesMax, settings.resultBytesMax, settings.workerHeapMiB, settings.residentMiBMax],
        caller: [settings.callerRunsBudgetMs, settings.callerRunsShare],
        limits: settings.limits,
        server: settings.server,
        auth: settings.auth,
        ids: [settings.nodeId, settings.stateSecret],
      },
      {
        address: ['127.0.0.1', 8080, null, 'auto'],
        load: [4, 1000, 400, 'caller-runs'],
        times: [5000, 500, 10_000, 5000],
        bytes: [1_048_576, 16_777_216, 512, 4096],
        caller: [5, 0.25],
        limits: {
          headerBytesMax: 16_384,
          connectionsMax: 10_000,
          streamBufferBytesMax: 1_048_576,
          requestReceiveMsMax: 10_000,
          keepAliveMs: 60_000,
          messageBytesMax: 1_048_576,
        },
        server: { name: 'millrace', version: MILLRACE_VERSION, title: '', instructions: '' },
        auth: null,
        ids: ['test-node', MACHINE.stateSecret],
      },
    );
  });

  test('put numbers in the place of auto, and leave given numbers alone', () => {
    assert.deepEqual(
      [compile({ workers: 2 }).maxConcurrent, compile({ workers: 2, maxConcurrent: 7 }).maxConcurrent],
      [200, 7],
    );
    assert.equal(compile({ maxRequestBytes: 2048 }).limits.messageBytesMax, 2048);
    assert.equal(compile({ maxResidentMib: 0 }).residentMiBMax, 0);
    assert.ok(compile({ workers: 40 }).residentMiBMax > 40 * 256);
    assert.equal(compileSettings({}, { ...MACHINE, memoryMiB: 1000 }).residentMiBMax, 900);
  });

  test('are made for this machine when none is given', () => {
    const first = thisMachine();
    assert.ok(first.cores >= 1 && first.memoryMiB > 0);
    assert.notEqual(thisMachine().stateSecret, first.stateSecret);
    assert.match(first.nodeId, /^[0-9A-Za-z._-]+-[0-9a-f]{8}$/);
  });

  test('keep what authentication needs, and nothing when there is none', () => {
    const tokens = [{ token: '0123456789abcdef', id: 'ci' }];
    const withTokens = compile({ auth: { tokens } }).auth;
    assert.deepEqual([withTokens?.tokens[0]?.scopes, withTokens?.jwt], [[], null]);
    const jwt = { issuer: 'https://id.example', audience: 'mcp', jwksUri: 'https://id.example/keys' };
    assert.deepEqual(compile({ auth: { jwt } }).auth?.jwt, {
      ...jwt,
      publicKeyPem: '',
      algorithms: ['RS256', 'ES256', 'EdDSA'],
    });
  });
});

describe('cross-checks', () => {
  test('problems of options handed over by a program name the member', async () => {
    assert.deepEqual(await refusals({ port: -1, prot: 1, allowedHosts: 'a' }), [
      'port = -1: must be an integer from 0 to 65535',
      'prot: unknown option, did you mean port?',
      'allowedHosts = a: must be a list of at most 256 non-empty texts',
    ]);
    assert.deepEqual(await refusals(null), ['the configuration: must be an object of options']);
  });

  test('a key needs its certificate, and both must be PEM files', async (context) => {
    const folder = folderWith(context, { 'key.pem': '-----BEGIN PRIVATE KEY-----', 'cert.pem': 'nothing' });
    const [tlsKey, tlsCert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    assert.deepEqual(await refusals({ tlsKey }), [`tlsKey = ${tlsKey}: needs tlsCert beside it`]);
    assert.deepEqual(await refusals({ tlsKey, tlsCert }), [`tlsCert = ${tlsCert}: must be a PEM file`]);
    assert.deepEqual(await refusals({ tlsKey, tlsCert: `${tlsCert}x` }), [
      `tlsCert = ${tlsCert}x: cannot be read: ENOENT`,
    ]);
  });

  test('a key that its certificate is not for, or that nobody can read, is refused before a port is opened', async (context) => {
    const [own, other] = [await makeCertificates(), await makeCertificates()];
    context.after(() => Promise.all([own.remove(), other.remove()]));
    const { certFile: tlsCert, keyFile: tlsKey } = own;
    const folder = folderWith(context, { 'locked.pem': ENCRYPTED_KEY, 'cut.pem': '-----BEGIN CERTIFICATE-----\nMII' });
    const [locked, cut] = [join(folder, 'locked.pem'), join(folder, 'cut.pem')];
    assert.deepEqual(compile({ tlsKey, tlsCert }).tls, { keyFile: tlsKey, certFile: tlsCert });
    for (const [pair, problem] of [
      [{ tlsKey: other.keyFile, tlsCert }, `tlsKey = ${other.keyFile}: is not the key of the certificate`],
      [{ tlsKey: tlsCert, tlsCert }, `tlsKey = ${tlsCert}: holds no private key that can be read`],
      [{ tlsKey: locked, tlsCert }, `tlsKey = ${locked}: is encrypted: it must be a key without a passphrase`],
      [{ tlsKey, tlsCert: cut }, `tlsCert = ${cut}: holds no certificate that can be read`],
    ] as const) {
      assert.deepEqual(await refusals(pair), [problem]);
    }
  });

  test('hints use the words of the place the value came from', async (context) => {
    const folder = folderWith(context, { 'key.pem': '-----BEGIN PRIVATE KEY-----' });
    const key = join(folder, 'key.pem');
    assert.deepEqual(await problemsOf(() => settingsFrom(folder, { flags: given(['tls-key', 'key.pem']) })), [
      `--tls-key ${key}: needs --tls-cert beside it`,
    ]);
    assert.deepEqual(await problemsOf(() => settingsFrom(folder, { env: { MILLRACE_TLS_KEY: 'key.pem' } })), [
      `MILLRACE_TLS_KEY=${key}: needs MILLRACE_TLS_CERT beside it`,
    ]);
  });

  test('a URL that is not one of Redis is refused, and never shown', async () => {
    for (const good of [
      'redis://:pw@host',
      'rediss://u:p@host:1/2',
      'redis-sentinel://a,b:1/main',
      'redis-cluster://a:1',
    ]) {
      assert.equal(compileSettings({ redisUrl: good }).redisUrl, good);
    }
    for (const bad of [
      'http://host',
      'redis://',
      'redis://a,b',
      'redis-sentinel://a',
      'redis-cluster://a/1',
      'redis://h:0',
    ]) {
      assert.deepEqual(await refusals({ redisUrl: bad }), [
        'redisUrl = (hidden): must be redis://host:port/db, redis-sentinel://host:port,host:port/name or redis-cluster://host:port,host:port (rediss… for TLS)',
      ]);
    }
  });

  test('every interface needs a list of host names', async () => {
    for (const host of ['0.0.0.0', '::']) {
      assert.deepEqual(await refusals({ host }), [
        `host = ${host}: listens on every interface: name the hosts clients use with allowedHosts (* for any)`,
      ]);
      assert.deepEqual(compile({ host, allowedHosts: ['mcp.example'] }).allowedHosts, ['mcp.example']);
    }
    assert.deepEqual(compile({ host: '10.1.2.3' }).allowedHosts, []);
  });

  test('allowed hosts carry no port or scheme, allowed origins carry no path', async () => {
    for (const name of ['a:80', 'http://a', 'a/b', 'a b', ''])
      await assert.doesNotReject(refusals({ allowedHosts: [name] }));
    for (const name of ['*', 'mcp.example', '10.0.0.1', '::1', '[::1]']) compile({ allowedHosts: [name] });
    for (const origin of ['app.example', 'https://app.example/x', 'null', 'https://app.example/']) {
      await assert.doesNotReject(refusals({ allowedOrigins: [origin] }), origin);
    }
    assert.deepEqual(compile({ allowedOrigins: ['https://App.example', '*'] }).allowedOrigins, [
      'https://app.example',
      '*',
    ]);
  });

  test('a tools folder must be there', async (context) => {
    const folder = folderWith(context, { 'file.txt': '' });
    assert.deepEqual(compile({ tools: [folder] }).toolDirs, [folder]);
    for (const [name, reason] of [
      ['gone', (path: string) => `there is no folder ${path}`],
      ['file.txt', (path: string) => `${path} is not a folder; name the one it is in`],
    ] as const) {
      const path = join(folder, name);
      assert.deepEqual(await refusals({ tools: [path] }), [`tools = ["${path}"]: ${reason(path)}`]);
    }
  });

  test('times that contradict each other are refused', async () => {
    assert.deepEqual(await refusals({ callerRunsBudgetMs: 50, requestTimeoutMs: 40 }), [
      'callerRunsBudgetMs = 50: must not exceed requestTimeoutMs (40)',
    ]);
    assert.deepEqual(await refusals({ tasks: { pollIntervalMs: 2000, maxTtlMs: 1000 } }), [
      'tasks.pollIntervalMs = 2000: must not exceed tasks.maxTtlMs (1000)',
    ]);
  });

  test('authentication that could let nobody or anybody in is refused', async () => {
    const jwt = { issuer: 'https://id.example', audience: 'mcp', jwksUri: 'https://id.example/keys' };
    assert.deepEqual(await refusals({ auth: { jwt: { jwksUri: 'x' } } }), [
      'auth.jwt.issuer = "": is needed to accept JWTs',
      'auth.jwt.audience = "": is needed to accept JWTs',
      'auth.jwt.jwksUri = x: must be an https:// or http:// URL',
    ]);
    assert.deepEqual(await refusals({ auth: { jwt: { ...jwt, jwksUri: 'file:///etc/keys' } } }), [
      'auth.jwt.jwksUri = file:///etc/keys: must be an https:// or http:// URL',
    ]);
    assert.deepEqual(await refusals({ auth: { jwt: { ...jwt, jwksUri: '', publicKeyPem: 'key.pem' } } }), [
      'auth.jwt.publicKeyPem = key.pem: must be a public key, PEM, the text itself and not the name of a file',
    ]);
    assert.deepEqual(await refusals({ auth: { jwt: { ...jwt, publicKeyPem: 'k' } } }), [
      'auth.jwt.jwksUri = https://id.example/keys: exactly one of it and auth.jwt.publicKeyPem must be set',
    ]);
    assert.match(
      (await refusals({ auth: { jwt: { ...jwt, algorithms: ['none'] } } })).join(),
      /none must be one of RS256/,
    );
    const token = { token: '0123456789abcdef', id: 'a' };
    assert.deepEqual(await refusals({ auth: { tokens: [token, { ...token, id: 'b' }] } }), [
      'auth.tokens = (hidden): the same token is listed twice',
    ]);
    assert.deepEqual(await refusals({ auth: { requiredScopes: ['x'] } }), [
      'auth.requiredScopes = ["x"]: needs auth.tokens or auth.jwt, or nobody could get in',
    ]);
  });
});

test('addresses are written in URLs with brackets where they need them', () => {
  assert.deepEqual(['127.0.0.1', '::1', '[::1]', 'a.example'].map(inUrl), ['127.0.0.1', '[::1]', '[::1]', 'a.example']);
  assert.deepEqual(['0.0.0.0', '::', '[::]', '127.0.0.1'].map(isEveryInterface), [true, true, true, false]);
});
