/**
 * URLs of Redis: one server, a Sentinel group, or a Cluster, with or without TLS.
 *
 *   redis://[user:password@]host:port[/db]                           rediss:// for TLS
 *   redis-sentinel://[user:password@]host:port,host:port/name[/db]   `name`: of the primary; rediss-sentinel:// for TLS
 *   redis-cluster://[user:password@]host:port,host:port              rediss-cluster:// for TLS
 */

const PORT = 6379;
const SENTINEL_PORT = 26_379;

export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly username: string;
  readonly password: string;
  readonly db: number;
  /** Sentinel: the name of the primary; else `''`. */
  readonly primary: string;
  /** Without user and password, for messages. */
  readonly shown: string;
}

const SHAPE = /^redis(s?)(?:-(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?#]+)((?:\/[^/?#]*)*)$/;

/** Throws `TypeError` for what is no URL of Redis. */
export function parseRedisUrl(url: string): RedisAddress {
  const parts = SHAPE.exec(url);
  if (parts === null) throw new TypeError('not a URL of Redis');
  const [, s = '', kind = 'single', account = '', list = '', path = ''] = parts;
  const colon = account.indexOf(':');
  const segments = path.split('/').filter((segment) => segment !== '');
  const primary = kind === 'sentinel' ? decodeURIComponent(segments.shift() ?? '') : '';
  const db = Number(segments.shift() ?? '0');
  const wrong =
    segments.length > 0 || !Number.isInteger(db) || db < 0 || (kind === 'cluster' && db > 0) || list.startsWith(':');
  if (wrong || (kind === 'sentinel' && primary === '')) throw new TypeError('not a URL of Redis');
  const hosts = list.split(',').map((host) => hostOf(host, kind === 'sentinel' ? SENTINEL_PORT : PORT));
  if (kind === 'single' && hosts.length > 1) throw new TypeError('not a URL of Redis: one host only');
  return {
    kind: kind as RedisAddress['kind'],
    tls: s !== '',
    hosts,
    username: decodeURIComponent(colon < 0 ? account : account.slice(0, colon)),
    password: colon < 0 ? '' : decodeURIComponent(account.slice(colon + 1)),
    db,
    primary,
    shown: `${url.slice(0, url.indexOf('://'))}://${list}${path}`,
  };
}

function hostOf(text: string, portDefault: number): { host: string; port: number } {
  const at = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const port = at?.[2] === undefined ? portDefault : Number(at[2]);
  if (at?.[1] === undefined || port < 1 || port > 65_535) throw new TypeError('not a URL of Redis');
  return { host: at[1].replace(/^\[|\]$/g, ''), port };
}

export function isRedisUrl(url: string): boolean {
  try {
    parseRedisUrl(url);
    return true;
  } catch {
    // What is wrong is told by whoever asks.
    return false;
  }
}
