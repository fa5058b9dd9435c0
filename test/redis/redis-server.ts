/**
 * A Redis of a test's own: on a free port, nothing written to disk, ended with the test. With a password, a user of its
 * own, TLS or a memory limit where a test wants one.
 */
import { type RedisArgument, RedisConnection, type RedisReply } from '../../src/redis/connection.ts';
import type { Certificates } from './certificates.ts';
import { plainArgs, type RedisProcess, startRedis } from './redis-process.ts';

export const QUIET = { warn: (): void => undefined, info: (): void => undefined };

export interface RedisServerOptions {
  /** 0: a free one. */
  readonly port: number;
  /** Of the default user; `''`: none. */
  readonly password: string;
  /** Another user, `rules` as `ACL SETUSER` takes them; then the default user is off. */
  readonly user: { readonly name: string; readonly password: string; readonly rules: readonly string[] } | null;
  /** TLS only, no plain port. */
  readonly tls: Certificates | null;
  /** `''`: unlimited. When it is full, writes fail. */
  readonly maxmemory: string;
  readonly args: readonly string[];
}

const DEFAULTS: RedisServerOptions = { port: 0, password: '', user: null, tls: null, maxmemory: '', args: [] };

export class RedisServer {
  readonly port: number;
  readonly options: RedisServerOptions;
  #process: RedisProcess;
  #client: RedisConnection;

  constructor(options: RedisServerOptions, process: RedisProcess) {
    this.port = process.port;
    this.options = options;
    this.#process = process;
    this.#client = this.connect();
  }

  static async start(options: number | Partial<RedisServerOptions> = {}): Promise<RedisServer> {
    const given = { ...DEFAULTS, ...(typeof options === 'number' ? { port: options } : options) };
    const server = new RedisServer(given, await launch(given.port, given));
    await server.#client.ready();
    return server;
  }

  get url(): string {
    const { password, tls, user } = this.options;
    const account = user === null ? (password === '' ? '' : `:${password}@`) : `${user.name}:${user.password}@`;
    return `redis${tls === null ? '' : 's'}://${account}127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** A connection of the caller's, not connected yet. */
  connect(options: { readonly commandMsMax?: number } = {}): RedisConnection {
    return new RedisConnection(this.url, 'test', QUIET, { ...options, tlsCaFile: this.options.tls?.caFile ?? '' });
  }

  async run(name: string, ...args: RedisArgument[]): Promise<RedisReply> {
    await this.#client.ready();
    return this.#client.command(name, ...args);
  }

  /** It stands still, and answers nothing, until `resume`. */
  pause(): void {
    this.#process.signal('SIGSTOP');
  }

  resume(): void {
    this.#process.signal('SIGCONT');
  }

  /** Its data is lost: it has no disk. */
  async end(): Promise<void> {
    this.#client.close();
    await this.#process.kill();
  }

  async startAgain(): Promise<void> {
    this.#process = await launch(this.port, this.options);
    this.#client = this.connect();
    await this.#client.ready();
  }
}

function launch(port: number, options: RedisServerOptions): Promise<RedisProcess> {
  const { args, maxmemory, password, tls, user } = options;
  return startRedis(port, (bound) => [
    ...plainArgs(tls === null ? bound : 0),
    ...(tls === null ? [] : tlsArgs(bound, tls)),
    ...(password === '' ? [] : ['--requirepass', password]),
    ...(user === null
      ? []
      : ['--user', 'default', 'off', '--user', user.name, 'on', `>${user.password}`, ...user.rules]),
    ...(maxmemory === '' ? [] : ['--maxmemory', maxmemory, '--maxmemory-policy', 'noeviction']),
    ...args,
  ]);
}

function tlsArgs(port: number, { caFile, certFile, keyFile }: Certificates): string[] {
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', caFile];
  return ['--tls-port', String(port), ...files, '--tls-auth-clients', 'no'];
}
