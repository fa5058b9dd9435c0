/**
 * A line to a server that is cut once, when the server's next answer comes: what was asked for is done, and nobody knows.
 * Or that is away for a while, on a port that nobody else can take meanwhile.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class CutLine {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cutting = false;
  #away = false;

  constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async to(port: number): Promise<CutLine> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const line = new CutLine(server);
    server.on('connection', (socket) => {
      if (line.#away) socket.destroy();
      else line.#join(socket, connect(port, '127.0.0.1'));
    });
    return line;
  }

  cutAtNextAnswer(): Promise<void> {
    this.#cutting = true;
    return Promise.resolve();
  }

  /** Every connection is cut, those that exist and those to come, until `back`. */
  goAway(): void {
    this.#away = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  back(): void {
    this.#away = false;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (answer) => {
      if (this.#cutting) near.destroy();
      else near.write(answer);
      this.#cutting = false;
    });
  }
}
