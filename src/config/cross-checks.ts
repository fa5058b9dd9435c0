/**
 * Rules between options, and rules that look at the machine: files that must exist, pairs that go together, what this
 * version cannot do.
 *
 * Role: called once by `compile.ts`. Each rule has its own line; none stops the others.
 */
import { statSync } from 'node:fs';
import { isRedisUrl } from '../redis/address.ts';
import { FILE_EXTENSIONS, isConfigFile } from './file.ts';
import { isEveryInterface } from './host-name.ts';
import { type LoadedConfig, valueAt } from './load.ts';
import { type Option, optionNamed } from './options.ts';
import { isPublicKey, unreadablePem, wrongPair } from './pem.ts';
import { DEFAULT_ORIGIN, type Origin, originLabel, problemWith } from './problem.ts';
import type { FullConfig } from './raw.ts';

interface Check {
  readonly config: FullConfig;
  /** Refuses the present value of one option. */
  refuse(name: string, reason: string): void;
  /** What to call `other` for someone who wrote `name` as they did: flag, variable or member. */
  beside(name: string, other: string): string;
}

/** A name, an IPv4 address, or an IPv6 address with or without brackets: at least two colons, so no port. */
const HOST_NAME =
  /^(\*|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*)$/;
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

export interface Refused {
  readonly problem: string;
  /** Of the value that is refused. */
  readonly origin: Origin;
}

export function crossCheck(loaded: LoadedConfig): readonly Refused[] {
  const refused: Refused[] = [];
  const optionAndOrigin = (name: string): [Option, Origin] => {
    const option = optionNamed(name);
    if (option === undefined) throw new TypeError(`no option ${name}`);
    return [option, loaded.origins.get(name) ?? DEFAULT_ORIGIN];
  };
  const check: Check = {
    config: loaded.config,
    refuse(name, reason) {
      const [option, origin] = optionAndOrigin(name);
      refused.push({ problem: problemWith(option, origin, valueAt(loaded.config, option.path), reason), origin });
    },
    beside(name, other) {
      const [, origin] = optionAndOrigin(name);
      const [option] = optionAndOrigin(other);
      return origin.kind === 'flag' || origin.kind === 'env' ? originLabel(option, origin) : option.name;
    },
  };
  checkTls(check);
  checkNames(check);
  checkTools(check);
  checkTimes(check);
  checkRedis(check);
  checkStreams(check);
  checkAuth(check);
  return refused;
}

function checkTls({ config, refuse, beside }: Check): void {
  if (config.tlsKey !== '' && config.tlsCert === '') refuse('tlsKey', `needs ${beside('tlsKey', 'tlsCert')} beside it`);
  if (config.tlsCert !== '' && config.tlsKey === '')
    refuse('tlsCert', `needs ${beside('tlsCert', 'tlsKey')} beside it`);
  const named = (['tlsKey', 'tlsCert'] as const).filter((name) => config[name] !== '');
  const reasons = named.map((name) => unreadablePem(config[name]));
  for (const [n, name] of named.entries()) if (reasons[n]) refuse(name, reasons[n]);
  if (named.length < 2 || reasons.some((reason) => reason !== null)) return;
  const wrong = wrongPair(config.tlsKey, config.tlsCert);
  if (wrong !== null) refuse(wrong.of === 'key' ? 'tlsKey' : 'tlsCert', wrong.reason);
}

function checkNames({ config, refuse, beside }: Check): void {
  const badHost = config.allowedHosts.find((name) => !HOST_NAME.test(name));
  if (badHost !== undefined) refuse('allowedHosts', `${badHost} must be a host name without scheme or port, or *`);
  const badOrigin = config.allowedOrigins.find((origin) => !isOrigin(origin));
  if (badOrigin !== undefined) refuse('allowedOrigins', `${badOrigin} must look like https://app.example, or be *`);
  if (isEveryInterface(config.host) && config.allowedHosts.length === 0) {
    refuse(
      'host',
      `listens on every interface: name the hosts clients use with ${beside('host', 'allowedHosts')} (* for any)`,
    );
  }
}

function isOrigin(text: string): boolean {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text.toLowerCase());
}

function checkTools({ config, refuse }: Check): void {
  for (const folder of config.tools) {
    const found = statSync(folder, { throwIfNoEntry: false });
    if (found === undefined) refuse('tools', `there is no folder ${folder}`);
    else if (!found.isDirectory()) refuse('tools', `${folder} is not a folder; name the one it is in`);
  }
}

function checkTimes({ config, refuse, beside }: Check): void {
  if (config.callerRunsBudgetMs > config.requestTimeoutMs) {
    refuse(
      'callerRunsBudgetMs',
      `must not exceed ${beside('callerRunsBudgetMs', 'requestTimeoutMs')} (${config.requestTimeoutMs})`,
    );
  }
  if (config.tasks.pollIntervalMs > config.tasks.maxTtlMs) {
    refuse(
      'tasks.pollIntervalMs',
      `must not exceed ${beside('tasks.pollIntervalMs', 'tasks.maxTtlMs')} (${config.tasks.maxTtlMs})`,
    );
  }
}

function checkStreams({ config, refuse }: Check): void {
  const { shards } = config.streaming;
  if ((shards & (shards - 1)) !== 0) refuse('streaming.shards', 'must be a power of two');
  for (const file of config.streamFiles) {
    const reason = noStreamFile(file);
    if (reason !== null) refuse('streamFiles', reason);
  }
}

function noStreamFile(file: string): string | null {
  const found = statSync(file, { throwIfNoEntry: false });
  const endings = FILE_EXTENSIONS.join(', ');
  if (found === undefined) return `there is no file ${file}`;
  if (found.isDirectory()) return `${file} is a folder; name the files in it one by one, each ends in ${endings}`;
  return isConfigFile(file) ? null : `${file} must be a file that ends in ${endings}`;
}

function checkRedis({ config, refuse, beside }: Check): void {
  const { tlsCa, url } = config.cluster;
  const reason = tlsCa === '' ? null : unreadablePem(tlsCa);
  if (reason !== null) refuse('cluster.tlsCa', reason);
  if (url !== '' && !/^https?:\/\/[^/]+\/?$/.test(url)) {
    refuse('cluster.url', 'must be http:// or https:// with a host and port, without a path');
  }
  if (config.redisUrl === '') {
    if (config.cluster.offer.length > 0 && url !== '')
      refuse('cluster.url', `needs ${beside('cluster.url', 'redisUrl')}`);
    return;
  }
  if (!isRedisUrl(config.redisUrl)) {
    refuse(
      'redisUrl',
      'must be redis://host:port/db, redis-sentinel://host:port,host:port/name or redis-cluster://host:port,host:port (rediss… for TLS)',
    );
  }
}

function checkAuth({ config, refuse, beside }: Check): void {
  const { tokens, jwt } = config.auth;
  const wantsJwt = jwt.issuer !== '' || jwt.jwksUri !== '' || jwt.publicKeyPem !== '' || jwt.audience !== '';
  if (wantsJwt) {
    if (jwt.issuer === '') refuse('auth.jwt.issuer', 'is needed to accept JWTs');
    if (jwt.audience === '') refuse('auth.jwt.audience', 'is needed to accept JWTs');
    if ((jwt.jwksUri === '') === (jwt.publicKeyPem === '')) {
      refuse(
        'auth.jwt.jwksUri',
        `exactly one of it and ${beside('auth.jwt.jwksUri', 'auth.jwt.publicKeyPem')} must be set`,
      );
    }
    if (jwt.jwksUri !== '' && !isWebUrl(jwt.jwksUri)) refuse('auth.jwt.jwksUri', 'must be an https:// or http:// URL');
    if (jwt.publicKeyPem !== '' && jwt.jwksUri === '' && !isPublicKey(jwt.publicKeyPem)) {
      refuse('auth.jwt.publicKeyPem', 'must be a public key, PEM, the text itself and not the name of a file');
    }
    const unknown = jwt.algorithms.find((name) => !ALGORITHMS.includes(name));
    if (unknown !== undefined) refuse('auth.jwt.algorithms', `${unknown} must be one of ${ALGORITHMS.join(', ')}`);
    if (jwt.algorithms.length === 0) refuse('auth.jwt.algorithms', 'must name at least one algorithm');
  }
  if (new Set(tokens.map((entry) => entry.token)).size !== tokens.length) {
    refuse('auth.tokens', 'the same token is listed twice');
  }
  if (wantsJwt || tokens.length > 0) return;
  for (const name of ['requiredScopes', 'authorizationServers'] as const) {
    if (config.auth[name].length > 0) refuse(`auth.${name}`, 'needs auth.tokens or auth.jwt, or nobody could get in');
  }
}

function isWebUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
