/**
 * A Redis of a test's own: on a free port, nothing written to disk, ended with the test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { type RedisArgument, RedisConnection, type RedisReply } from '../../../src/redis/connection.ts';
import { ensureCommands, NEEDED } from '../../services.ts';

const QUIET = { warn: (): void => undefined, info: (): void => undefined };

export class RedisServer {
  readonly port: number;
  #process: ChildProcess;
  #client: RedisConnection;

  constructor(port: number, process: ChildProcess, client: RedisConnection) {
    this.port = port;
    this.#process = process;
    this.#client = client;
  }

  static async start(port = 0): Promise<RedisServer> {
    const missing = ensureCommands(NEEDED.filter(({ command }) => command === 'redis-server'));
    if (missing !== null) throw new Error(missing);
    const bound = port === 0 ? await freePort() : port;
    const child = await launch(bound);
    const client = new RedisConnection(`redis://127.0.0.1:${bound}`, 'test', QUIET);
    await client.ready();
    return new RedisServer(bound, child, client);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async run(name: string, ...args: RedisArgument[]): Promise<RedisReply> {
    await this.#client.ready();
    return this.#client.command(name, ...args);
  }

  /** Its data is lost: it has no disk. */
  async end(): Promise<void> {
    this.#client.close();
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }

  async startAgain(): Promise<void> {
    this.#process = await launch(this.port);
    this.#client = new RedisConnection(this.url, 'test', QUIET);
    await this.#client.ready();
  }
}

async function launch(port: number): Promise<ChildProcess> {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`redis-server ended: ${output}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Ready to accept connections')) resolve();
    });
  });
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
