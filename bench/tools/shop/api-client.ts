/**
 * JSON over HTTP to the shop's API service, on connections that stay open.
 *
 * Role: the same client for millrace's tools and the peers'.
 */
import { Agent, request } from 'node:http';

const CONNECTIONS_MAX = 64;

export class ApiClient {
  readonly #base: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });

  constructor(base: string) {
    this.#base = base;
  }

  get(path: string): Promise<unknown> {
    return this.#send('GET', path, '');
  }

  post(path: string, body: object): Promise<unknown> {
    return this.#send('POST', path, JSON.stringify(body));
  }

  #send(method: string, path: string, body: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const headers =
        body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const sent = request(`${this.#base}${path}`, { method, agent: this.#agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(Buffer.concat(chunks).toString()));
          else reject(new Error(`${method} ${path} was answered ${response.statusCode}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}
